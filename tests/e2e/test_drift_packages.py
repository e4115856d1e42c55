"""Drift in the sources of popular packages: what it finds there was read, one by one, and is all that it may find."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from stratum.mcp_bridge.drift.check import check

pytestmark = pytest.mark.e2e

REVIEWED: dict[str, dict[str, list[int]]] = json.loads(Path(__file__).with_name("drift_reviewed.json").read_text())
"""By package and version: what stands in each file, by rule, as lines."""


@pytest.mark.parametrize("package", REVIEWED)
def test_nothing_is_found_in_the_package_beyond_what_was_reviewed(package: str, tmp_path: Path) -> None:
    command = (
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary",
        ":all:",
        "-d",
        tmp_path,
        package,
    )
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "sources")

    drift = check([tmp_path / "sources"])
    found: dict[str, list[int]] = {}
    for each in drift.findings:
        key = f"{Path(each.path).relative_to(tmp_path / 'sources').as_posix()} {each.rule}"
        found.setdefault(key, []).append(each.line)
    assert found == REVIEWED[package]
    assert not Counter(note.message for note in drift.notes)
