"""`roll_back`: a run's work tree restored to what it was after one of its steps, which takes no runtime."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from stratum.actors.journal import Journal
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.records import RolledBack
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.work_trees.snapshots import Restored, Snapshots


async def roll_back(
    journal: Journal,
    run: str,
    step: str,
    *,
    snapshots: Callable[[], Awaitable[Snapshots]],
    compiled: Callable[[ExecutionPlan], CompiledPlan],
    by: str,
    force: bool,
) -> Restored:
    """See `Plans.rollback`; of a run that nobody is running."""
    async with journal.claimed(run):
        past = PlanHistory(await journal.read(run))
        past.need_snapshot(step, run=run)
        commit = past.of(step).after
        restored = await (await snapshots()).restore(run, commit, force=force)
        await journal.commit(
            run,
            RolledBack(
                elapsed_ms=past.elapsed_ms,
                call=step,
                commit=commit,
                overwritten=restored.overwritten,
                undone=undone_by(compiled(past.plan), past.kept[past.kept.index(step) + 1 :]),
                by=by,
            ),
        )
    return restored


def undone_by(compiled: CompiledPlan, later: Sequence[str]) -> list[str]:
    """The steps that a rollback voids: those that changed the workspace later, and what depends on them."""
    outer = {compiled.index[id.partition("/")[0]] for id in later}
    for number in list(outer):
        outer |= set(compiled.dag.descendants(number))
    return [compiled.plan.steps[number].id for number in sorted(outer)]
