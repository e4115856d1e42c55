"""How long a call waits for more to hand out."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tests.engine.plans.plan_fixtures import open_project, started
from trio.testing import MockClock

from stratum import compute
from stratum.mcp_bridge.run_tools import something_to_do


@compute
async def count() -> int:
    await trio.sleep(0.01)
    return 1


@pytest.mark.parametrize(
    ("steps", "handed_out", "after_s"),
    [
        ("[{id: a, fn: look}, {id: b, fn: look}, {id: c, fn: look, depends_on: [a]}]", ["a", "b"], 0.002),
        (
            "[{id: a, fn: look}, {id: ask, gate: {question: Ship it?}}, {id: c, fn: look, depends_on: [ask]}]",
            ["a"],
            0.002,
        ),
        # What is at work here may be done within a moment, and other steps become ready.
        ("[{id: a, fn: look}, {id: n, fn: count}, {id: c, fn: look, depends_on: [n]}]", ["a", "c"], 0.012),
    ],
)
async def test_a_call_waits_for_more_to_hand_out_only_while_something_is_at_work_that_it_could_come_of(
    steps: str, handed_out: list[str], after_s: float, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_project(tmp_path, steps=[count], journal=None) as plans:
        run = await started(plans, f"steps: {steps}")
        started_s = trio.current_time()
        await something_to_do(run, 20)

        assert sorted(run.assignments) == handed_out
        assert round(trio.current_time() - started_s, 6) == after_s
