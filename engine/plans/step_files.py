"""`StepFiles`: the files of the workspace that a plan's steps work in: kept before and after, held against what a step may change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.owned_files import strays
from stratum.contracts.records import SnapshotTaken
from stratum.contracts.violation import Violation

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun
    from stratum.engine.plans.steps import PlanSteps


def stray(found: Sequence[str], files: Sequence[str]) -> Violation:
    """A step changed files that are not its own."""
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return Violation(
        kind="ensure",
        condition=f"changes only {', '.join(files)}",
        detail=f"also changed: {', '.join(found[:5])}{more}",
    )


class StepFiles:
    """Of one plan's steps, or of a plan's within it."""

    def __init__(self, run: PlanRun, steps: PlanSteps, *, around: tuple[PlanSteps, int] | None) -> None:
        """`around`: the steps among which the one is that runs this plan, if there is one, and its number."""
        self._run = run
        self._steps = steps
        self._around = around

    async def keep_before(self, step: str) -> None:
        """A snapshot of the workspace before the step, where it has none yet."""
        if self._run.log.past.of(step).before or not self._run.workspace.kept:
            return
        commit = await self._run.workspace.keep(self._run.id, step, "before")
        log = self._run.log
        log.append(SnapshotTaken(elapsed_ms=log.elapsed_ms, call=step, commit=commit, when="before"))

    async def keep_after(self, step: str) -> Sequence[SnapshotTaken]:
        """A snapshot of the workspace as the step leaves it, to be recorded with its result."""
        if not self._run.workspace.kept:
            return ()
        commit = await self._run.workspace.keep(self._run.id, step, "after")
        return (SnapshotTaken(elapsed_ms=self._run.log.elapsed_ms, call=step, commit=commit, when="after"),)

    async def strayed(self, number: int) -> tuple[Violation, ...]:
        """What the step changed besides its files; not what another may have changed that can be at work at the same time."""
        step = self._steps.compiled.plan.steps[number]
        before = self._run.log.past.of(self._steps.id(number)).before
        if not step.files or not before:
            return ()
        others = self.beside(number)
        if () in others:
            return ()  # that one may change anything
        allowed = [*step.files, *(name for files in others for name in files)]
        found = strays(await self._run.workspace.files_changed_since(before), allowed)
        return (stray(found, step.files),) if found else ()

    def beside(self, number: int) -> list[tuple[str, ...]]:
        """The files of each step that may change some and can be at work at the same time; none where it may change any."""
        compiled = self._steps.compiled
        ordered = {number, *compiled.dag.descendants(number), *compiled.dag.ancestors(number)}
        found: list[tuple[str, ...]] = []
        if self._around is not None:
            outer, of_this_plan = self._around
            found += outer.files.beside(of_this_plan)
        for other, kind in enumerate(compiled.kinds):
            if other not in ordered and kind in ("agent", "command"):
                found.append(compiled.plan.steps[other].files)
            elif other not in ordered and kind == "plan":
                found += _files_in(compiled.plans[compiled.plan.steps[other].fn])
        return found


def _files_in(plan: CompiledPlan) -> list[tuple[str, ...]]:
    found = [step.files for step, kind in zip(plan.plan.steps, plan.kinds, strict=True) if kind in ("agent", "command")]
    return found + [files for inner in plan.plans.values() for files in _files_in(inner)]
