"""Kill -9 in the middle of a flow of 40 calls: a few times here, a hundred under `make e2e`."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.crash_harness import Crasher, open_model
from tests.fakes.forks import open_forks


def test_a_flow_killed_at_random_moments_pays_for_nothing_twice_and_forgets_nothing(tmp_path: Path) -> None:
    """CASES F18."""
    with open_forks("tests.crash_flow") as forks, open_model(tmp_path / "bills.jsonl") as model:
        crasher = Crasher(forks, model, tmp_path)
        assert crasher.crash_until(5, seed=1) == []
    assert crasher.tally.kills >= 5


def test_ctrl_c_at_random_moments_ends_a_flow_as_cleanly(tmp_path: Path) -> None:
    """Between any two instructions; and as an interrupt, never as what it broke."""
    with open_forks("tests.crash_flow") as forks, open_model(tmp_path / "bills.jsonl") as model:
        crasher = Crasher(forks, model, tmp_path, by=signal.SIGINT)
        assert crasher.crash_until(3, seed=50) == []
