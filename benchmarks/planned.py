"""A graph as a plan with everything on: a budget, a journal in a file, each step's result checked, encoded and recorded.

Proposing it, which checks it, is no part of what is measured; from its start until its result is on disk is.
"""

from __future__ import annotations

import gc
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from benchmarks.timing import Measured, measured
from stratum import Budget, compute, open_runtime
from stratum.contracts.plans.dag import Dag
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.plan import Step as PlanStep
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plans import open_plans
from stratum.engine.providers.scripted import scripted
from stratum.engine.step import Step

MOST_STEPS = 100_000
"""In one plan."""
PART_STEPS = 50_000
"""Of a larger graph: its first so many, run again and again by the steps of an outer plan, one after another."""


@compute(inline=True)
def still() -> int:
    return 1


@compute(inline=True)
async def suspending() -> int:
    await trio.lowlevel.checkpoint()
    return 1


def plan_of(dag: Dag, *, suspend: bool) -> ExecutionPlan:
    """The graph, each step of which suspends once or not at all."""
    return plan_calling(suspending if suspend else still, dag)


def plan_calling(step: Step[[], int], dag: Dag) -> ExecutionPlan:
    """The graph, each step of which calls the same function; larger ones in parts."""
    fn = step.signature.name
    budget = Budget(ms=600_000, usd=1)
    if len(dag) <= MOST_STEPS:
        return ExecutionPlan(goal="a graph", steps=_steps(dag, fn=fn), budget=budget)
    parts, rest = divmod(len(dag), PART_STEPS)
    assert not rest, f"beyond {MOST_STEPS:,} steps: a multiple of {PART_STEPS:,}"
    part = ExecutionPlan(steps=_steps(dag, fn=fn)[:PART_STEPS])
    outer = [
        PlanStep(id=f"part-{number}", fn="part", kind="plan", depends_on=(f"part-{number - 1}",) if number else ())
        for number in range(parts)
    ]
    return ExecutionPlan(goal="a graph", steps=tuple(outer), plans={"part": part}, budget=budget)


def _steps(dag: Dag, *, fn: str) -> tuple[PlanStep, ...]:
    before: list[list[str]] = [[] for _ in range(len(dag))]
    for step, successors in enumerate(dag.successors):
        for successor in successors:
            before[successor].append(str(step))
    return tuple(PlanStep(id=str(step), fn=fn, depends_on=tuple(names)) for step, names in enumerate(before))


def cpu_of(plan: ExecutionPlan, *, units: int, calls: Step[[], int] | None = None) -> Measured:
    """What a step of it takes; `calls` is the function, if none of the two here."""

    return _around(plan, partial(measured, units=units), calls=calls)


def peak_of(plan: ExecutionPlan, *, units: int) -> float:
    """Memory that running it holds at its height, in bytes a step; the plan itself is not counted."""

    async def at_its_height(run: Callable[[], Awaitable[object]]) -> float:
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await run()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (peak - before) / units

    return _around(plan, at_its_height)


def _around(
    plan: ExecutionPlan,
    measure: Callable[[Callable[[], Awaitable[object]]], Awaitable[Any]],
    *,
    calls: Step[[], int] | None = None,
) -> Any:
    functions = Functions([still, suspending] if calls is None else [calls])

    async def main(folder: Path) -> Any:
        approvals = Approvals(folder, folder=folder / "state")
        async with (
            open_runtime(provider=scripted(), journal=folder / "stratum.db") as runtime,
            open_plans(runtime, functions=functions, workspace=folder, approvals=approvals) as plans,
        ):
            draft = await plans.propose(plan, by="benchmark")
            approvals.approve(draft.digest, by="benchmark", how="python")

            async def run() -> None:
                live: PlanRun = await plans.start(draft.run)
                await live.result()

            return await measure(run)

    with tempfile.TemporaryDirectory() as folder:
        return trio.run(main, Path(folder))
