"""The issue's figure, 100 kills; and the proof that the harness would notice what they must not do."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.crash_flow import MUTANTS
from tests.crash_harness import Crasher, open_model
from tests.fakes.forks import open_forks

pytestmark = pytest.mark.e2e


def test_a_hundred_kills(tmp_path: Path) -> None:
    """CASES F18."""
    with open_forks("tests.crash_flow") as forks, open_model(tmp_path / "bills.jsonl") as model:
        crasher = Crasher(forks, model, tmp_path)
        assert crasher.crash_until(100, seed=1000) == []
    # Most kills hit the work itself, not its beginning or its end.
    assert sum(0 < completed < 40 for completed in crasher.tally.completed_at_kill) >= 50
    assert sum(open_ > 0 for open_ in crasher.tally.in_flight_at_kill) >= 50
    assert crasher.tally.exhausted > 0


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_the_harness_notices(tmp_path: Path, mutant: str) -> None:
    with open_forks("tests.crash_flow") as forks, open_model(tmp_path / "bills.jsonl") as model:
        crasher = Crasher(forks, model, tmp_path, mutant=mutant)
        assert crasher.crash_until(60, seed=1)


def test_a_hundred_interrupts(tmp_path: Path) -> None:
    with open_forks("tests.crash_flow") as forks, open_model(tmp_path / "bills.jsonl") as model:
        crasher = Crasher(forks, model, tmp_path, by=signal.SIGINT)
        assert crasher.crash_until(100, seed=2000) == []
