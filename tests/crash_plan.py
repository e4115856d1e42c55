"""A plan of 200 command steps to be killed, run in forked children (tests/fakes/forks.py), and mutants that must be noticed.

Every step has its effect once by its key, however often it runs, and notes each run with its time.
"""

from __future__ import annotations

from pathlib import Path

import trio

from stratum import open_runtime
from stratum.contracts.plans.plan import ExecutionPlan, Step
from stratum.contracts.records import CommandStarted, Record
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.doers.command_doer import CommandDoer
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.plans import open_plans
from stratum.engine.providers.scripted import scripted
from tests.fakes.forks import say, serve

STEPS = 200
WIDTH = 20
# The effect is a folder, which is there or not; the run is a line, with the time in nanoseconds.
SCRIPT = 'mkdir -p "effects/$STRATUM_STEP_KEY" && echo "$0 $(date +%s%N)" >> runs.log'


def plan() -> ExecutionPlan:
    """Ten rows of twenty steps, each after the one above it and that one's right neighbour."""
    steps: list[Step] = []
    for number in range(STEPS):
        row, column = divmod(number, WIDTH)
        above = [] if row == 0 else [(row - 1) * WIDTH + column, (row - 1) * WIDTH + (column + 1) % WIDTH]
        steps.append(Step(id=str(number), command=("sh", "-c", SCRIPT, str(number)), depends_on=tuple(map(str, above))))
    return ExecutionPlan(goal="two hundred effects", steps=tuple(steps), max_in_flight=8)


async def live(folder: str, run: str) -> None:
    """Begin the plan, or go on with it; says `run ID` and `started`."""
    workspace = Path(folder)
    approvals = Approvals(workspace, folder=workspace.parent / "state")
    async with (
        open_runtime(provider=scripted(), journal=workspace.parent / "stratum.db") as runtime,
        open_plans(runtime, workspace=workspace, approvals=approvals) as plans,
    ):
        if not run:
            draft = await plans.propose(plan(), by="test")
            approvals.approve(draft.digest, by="test", how="python")
            run = draft.run
        at_work = await plans.start(run)
        say(f"run {run}")
        say("started")
        await at_work.result()
        say("succeeded")


def nothing_is_done() -> None:
    """A mutant: what is done is done again."""
    PlanHistory.done = lambda self, id: False  # type: ignore[method-assign]  # that is the fault


def another_key_each_time() -> None:
    """A mutant: a step whose end is unknown gets another key."""
    count = iter(range(10**9))
    CommandDoer._key = lambda self: f"{self._run.id}/{self._past.id}/{next(count)}-{trio.current_time()}"  # type: ignore[method-assign]
    note = PlanHistory.note

    def forgetful(self: PlanHistory, record: Record) -> None:
        note(self, record)
        if isinstance(record, CommandStarted):
            self.of(record.call).command = None

    PlanHistory.note = forgetful  # type: ignore[method-assign]  # that is the fault


MUTANTS = {mutant.__name__: mutant for mutant in (nothing_is_done, another_key_each_time)}

if __name__ == "__main__":
    serve({"live": live}, MUTANTS)
