"""A plan of 100,000 steps to be killed: `python -m tests.long_plan FOLDER LIFE [RUN]`. Each life notes the steps that it did."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import trio

from stratum import Budget, compute, open_runtime
from stratum.contracts.plans.plan import ExecutionPlan, Step
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plans import open_plans
from stratum.engine.providers.scripted import scripted

STEPS = 100_000
WIDTH = 100
_notes: list[int] = []


@compute(inline=True)
def note(number: int) -> int:
    os.write(_notes[0], b"%d\n" % number)
    return number


def plan() -> ExecutionPlan:
    """Rows of a hundred steps, each after its three neighbours in the row before."""
    steps: list[Step] = []
    for number in range(STEPS):
        row, column = divmod(number, WIDTH)
        above = [(row - 1) * WIDTH + column + shift for shift in (-1, 0, 1) if row and 0 <= column + shift < WIDTH]
        steps.append(Step(id=str(number), fn="note", inputs={"number": number}, depends_on=tuple(map(str, above))))
    return ExecutionPlan(goal="a hundred thousand notes", steps=tuple(steps), budget=Budget(ms=600_000, usd=1))


async def live(folder: Path, life: str, run: str) -> None:
    """Begin the plan, or go on with it; prints the run's id and how long that took."""
    _notes.append(os.open(folder / f"notes-{life}", os.O_CREAT | os.O_APPEND | os.O_WRONLY))
    approvals = Approvals(folder, folder=folder / "state")
    opened_s = time.perf_counter()
    async with (
        open_runtime(provider=scripted(), journal=folder / "stratum.db") as runtime,
        open_plans(runtime, functions=Functions([note]), workspace=folder, approvals=approvals) as plans,
    ):
        if not run:
            draft = await plans.propose(plan(), by="test")
            approvals.approve(draft.digest, by="test", how="python")
            run = draft.run
        at_work = await plans.start(run)
        print(run, f"{time.perf_counter() - opened_s:.2f}", flush=True)
        await at_work.result()


if __name__ == "__main__":
    trio.run(live, Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "")
