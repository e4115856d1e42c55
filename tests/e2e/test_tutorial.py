"""The tutorial, word by word, by somebody who has only what it says to install."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.check_wheel import ROOT, install_wheel
from tests.test_docs import follow

pytestmark = pytest.mark.e2e


def test_the_tutorial_works_word_by_word_in_a_fresh_environment(tmp_path: Path) -> None:
    python = install_wheel(tmp_path, "pytest")
    folder = tmp_path / "tutorial"
    folder.mkdir(mode=0o700)
    environ = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    assert follow(ROOT / "docs" / "tutorial.md", folder, environ=environ) >= 10
