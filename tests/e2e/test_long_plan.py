"""A plan of 100,000 steps, its process killed in the middle, gone on with by another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio
from tests.long_plan import STEPS

from stratum.actors.journal import open_journal
from stratum.engine.plans.plan_history import PlanHistory

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


async def test_a_killed_plan_of_a_hundred_thousand_steps_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """CASES H39."""
    with life(tmp_path, "first") as first:
        assert first.stdout is not None
        run = first.stdout.readline().split()[0]
        with trio.fail_after(300):
            while len(noted(tmp_path, "first")) < STEPS // 3:
                await trio.sleep(0.02)
        first.kill()
    async with open_journal(tmp_path / "stratum.db", session="reader") as journal:
        kept = set(map(int, PlanHistory(await journal.read(run)).plain))
    assert STEPS // 8 < len(kept) < STEPS

    with life(tmp_path, "second", run) as second:
        assert await trio.to_thread.run_sync(second.wait) == 0

    # What was on disk is not done again; all else is, once: what was done and not yet on disk too.
    again = noted(tmp_path, "second")
    assert len(again) == len(set(again))
    assert set(again) == set(range(STEPS)) - kept
    async with open_journal(tmp_path / "stratum.db", session="reader-again") as journal:
        assert await journal.state(run) == "succeeded"
        await journal.verify(run)


def life(folder: Path, name: str, run: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.long_plan", str(folder), name, *([run] if run else [])]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def noted(folder: Path, name: str) -> list[int]:
    """The steps that a life did, in that order; the last line may be half written."""
    path = folder / f"notes-{name}"
    return [int(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []
