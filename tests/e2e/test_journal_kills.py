"""Kills by the thousand: DESIGN's figure for the journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.forks import open_forks
from tests.fakes.journal_kills import kill_repeatedly

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("seed", range(4))
def test_a_thousand_kills_lose_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    """CASES F18."""
    with open_forks("tests.fakes.journal_process") as process:
        assert kill_repeatedly(process, tmp_path / "stratum.db", kills=250, seed=100 + seed) == []
