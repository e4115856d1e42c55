"""`PlanSteps`: the steps of one plan at work, or of a plan within it.

Above: `PlanRun`, which people and agents ask and tell. Below: the scheduler, which calls `_run_step` for each step that is
ready; `StepWork`, which does it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import trio

from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.errors import PlanFailed
from stratum.contracts.plans.plan import Step
from stratum.contracts.plans.status import StepStanding
from stratum.contracts.records import Joined, Record, Skipped, StartedOver
from stratum.contracts.reference import read_reference
from stratum.contracts.violation import Violation
from stratum.engine.place import Place
from stratum.engine.plans.askings import Asking
from stratum.engine.plans.clock import Clock
from stratum.engine.plans.conditions import Conditions
from stratum.engine.plans.gathering import Gathering
from stratum.engine.plans.losses import Losses
from stratum.engine.plans.plain_steps import PlainSteps
from stratum.engine.plans.step_files import StepFiles
from stratum.engine.plans.step_work import StepWork
from stratum.engine.plans.values import Values
from stratum.engine.scheduling.lane import Lane
from stratum.engine.scheduling.progress import StepState
from stratum.engine.scheduling.scheduler import StartOver, run_dag

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun


class PlanSteps:
    """One plan's."""

    def __init__(
        self,
        run: PlanRun,
        compiled: CompiledPlan,
        *,
        inputs: Mapping[str, Any],
        place: Place,
        clock: Clock,
        prefix: str = "",
        around: tuple[PlanSteps, int] | None = None,
    ) -> None:
        self.compiled = compiled
        self.values = Values(compiled, inputs)
        self.standing: list[StepStanding] = ["waiting"] * len(compiled.plan.steps)
        self.errors: dict[int, str] = {}
        self.inside: dict[int, PlanSteps] = {}
        """The steps of the plans that steps of this one run."""
        self.run = run
        self._log = run.log
        self.place = place
        self.own_clocks: dict[int, Clock] = {}
        """Of the steps that have a budget of their own."""
        self.own_clock = clock
        self.prefix = prefix
        self.files = StepFiles(run, self, around=around)
        self.gathering = Gathering(run, self)
        self.conditions = Conditions(
            compiled, self.values, sources=run.sources, judge=run.judge, gathering=self.gathering
        )
        # Most steps of a large plan are bare: of those there is nothing to look for.
        special = [(number, compiled.plan.steps[number]) for number in compiled.special]
        self.targets = {compiled.index[id] for _, step in special for id in step.starts_over_from}
        self._stands_in_for = {compiled.index[step.on_fail]: number for number, step in special if step.on_fail}
        self._failed_with_stand_in: set[int] = set()
        self._losses = Losses(compiled) if compiled.tolerated else None
        self._plain = PlainSteps(self)

    async def result(self) -> Any:
        """Do every step; what the plan returns, as JSON values.

        Raises:
            PlanFailed: steps failed for good.
            BudgetExceeded: of a step's own budget, where that was the only failure.
        """
        plan = self.compiled.plan
        ended = await run_dag(
            self.compiled.dag,
            self._plain.begin_or(self._run_step),
            run_at_once=self._plain.run_at_once,
            beside=None if self.prefix else self._log.flush_soon,
            max_in_flight=plan.max_in_flight,
            fail_fast=plan.fail_fast,
            on_end=self._ended_badly,
        )
        fatal = {} if self._losses is None else self._losses.fatal
        if fatal or not ended.succeeded:
            raise self._failure({**fatal, **ended.errors})
        if not plan.output:
            return self.values.plain(len(plan.steps) - 1)
        return self.values.at(read_reference(plan.output, path="$.output"))

    def id(self, number: int) -> str:
        """The step's id in the run: that of the step whose plan this is comes first."""
        return self.prefix + self.compiled.plan.steps[number].id

    def stands(self, number: int, standing: StepStanding) -> None:
        """The step has come to stand otherwise."""
        self.standing[number] = standing
        self.run.touch()

    async def ask(self, number: int, asking: Asking, *, timeout_s: float = math.inf) -> None:
        """Wait until a person has answered, or nobody has within `timeout_s`; while nothing else is at work the clock stands."""
        with self.run.asking.open(self.id(number), asking):
            self.stands(number, "asking")
            try:
                with self.clock(number).parked(), trio.move_on_after(timeout_s):
                    await self.run.log.runtime.timed("person", asking.answered.wait())
            finally:
                self.stands(number, "running")

    def clock(self, number: int) -> Clock:
        """What stands while the step waits for a person, if nothing else is at work."""
        return self.own_clocks.get(number, self.own_clock)

    @trio.lowlevel.enable_ki_protection
    async def _run_step(self, number: int, lane: Lane) -> StartOver | None:
        step, id = self.compiled.plan.steps[number], self.id(number)
        if self._log.past.done(id) and not self._is_unverified(number, step):
            self._take_up(number, id)
            return None
        if self._losses is not None and self._is_lost(number, id, self._losses):
            return None
        if (reason := await self._not_needed(number, step)) is not None:
            self._skip(number, id, reason)
            return None
        self.stands(number, "running")
        work = StepWork(self, number)
        try:
            self._admit(number, id)
            started_over = await work.do()
        except Exception as error:
            work.failed(error)
            if not self._goes_on_after(number, error):
                raise
            self.errors[number] = str(error)
            self.stands(number, "failed")
            return None
        if started_over is None:
            self.stands(number, "done")
        return started_over

    def _is_lost(self, number: int, id: str, losses: Losses) -> bool:
        """It cannot be begun without a step that has failed; or it was lost before the run was resumed, and a join went on without it."""
        if id in self._log.past.lost:
            known = self._log.past.by_id.get(id)
            self._lose(number, None, as_="blocked" if known is None or known.trace is None else "failed")
            return True
        if losses.block(number):
            self._lose(number, None, as_="blocked")
            return True
        return False

    def _admit(self, number: int, id: str) -> None:
        """A join begins. Raises TooFewSucceeded."""
        if self._losses is not None and (without := self._losses.admit(number)):
            self._log.append(
                Joined(elapsed_ms=self._log.elapsed_ms, call=id, without=[self.id(other) for other in without])
            )

    def _goes_on_after(self, number: int, error: Exception) -> bool:
        """Whether others do although the step has failed: it has a stand-in, or what comes after it can do without."""
        if self.compiled.plan.steps[number].on_fail:
            self._failed_with_stand_in.add(number)
            return True
        if self._losses is None or not self._losses.tolerates(number, error):
            return False
        self._lose(number, error, as_="failed")
        return True

    def _lose(self, number: int, error: Exception | None, *, as_: StepStanding) -> None:
        """The step has no result and never will, nor has the one that it was to stand in for."""
        assert self._losses is not None, "of a plan with joins"
        self._losses.add(number, error)
        if number in self._stands_in_for:
            self._losses.add(self._stands_in_for[number], None)
        self.stands(number, as_)

    def _is_unverified(self, number: int, step: Step) -> bool:
        """It had a result before the run was stopped, and perhaps nobody had yet looked at whether that is good enough."""
        if step.repeat is not None:
            repeats = self._log.past.of(self.id(number)).repeats
            return not (repeats and repeats[-1].last)
        if not step.repair or self.compiled.kinds[number] != "infer":
            return False
        return not any(self._log.past.recorded(self.id(other)) for other in self.compiled.dag.successors[number])

    def _take_up(self, number: int, id: str) -> None:
        """It was done before the run was resumed."""
        past = self._log.past
        plain = past.plain.get(id)
        if plain is None and past.of(id).skipped is not None:
            self.standing[number] = "skipped"
            return
        output = past.of(id).output if plain is None else plain
        self.values.set(number, self.values.codec(number).recall(output))
        self.standing[number] = "done"
        self._fill_place(number)

    async def _not_needed(self, number: int, step: Step) -> str | None:
        """Why the step is not to be done; `None` if it is."""
        if number in self._stands_in_for and self._stands_in_for[number] not in self._failed_with_stand_in:
            return f"step {self.compiled.plan.steps[self._stands_in_for[number]].id} did not fail"
        if step.when:
            inputs = self.values.plain_arguments(step)
            unmet = await self.conditions.unmet(step.when, step=self.id(number), inputs=inputs)
            return unmet or None
        return None

    def _skip(self, number: int, id: str, why: str) -> None:
        self._log.append(Skipped(elapsed_ms=self._log.elapsed_ms, call=id, why=why))
        self.values.set(number, None)
        self.stands(number, "skipped")

    def start_over(
        self, number: int, first: str, violations: Sequence[Violation], *, before: Sequence[Record] = ()
    ) -> StartOver:
        """Void the first step's result and all that came of it; `before` is recorded together with that, first."""
        target = self.compiled.index[first]
        overtaken = sorted({target, *self.compiled.dag.descendants(target)})
        self._log.append(
            *before,
            StartedOver(
                elapsed_ms=self._log.elapsed_ms,
                call=self.id(number),
                first=self.id(target),
                violations=list(violations),
                overtaken=[self.id(other) for other in overtaken],
            ),
        )
        if self._losses is not None:
            self._losses.void(overtaken)
        for other in overtaken:
            self.values.set(other, None)
            self._failed_with_stand_in.discard(other)
            self.inside.pop(other, None)
            self.standing[other] = "waiting"
        self.run.touch()
        return StartOver(target)

    def begin_inside(self, number: int, inputs: Mapping[str, Any], place: Place) -> PlanSteps:
        """The steps of the plan that a step runs."""
        plan = self.compiled.plans[self.compiled.plan.steps[number].fn]
        prefix = f"{self.id(number)}/"
        inner = PlanSteps(
            self.run,
            plan,
            inputs=inputs,
            place=place,
            clock=self.clock(number),
            prefix=prefix,
            around=(self, number),
        )
        self.inside[number] = inner
        return inner

    def accept(self, number: int, result: Any) -> None:
        """The step has this result."""
        self.values.set(number, result)
        self._fill_place(number)

    def _fill_place(self, number: int) -> None:
        """What a stand-in returned takes the place of what it stands in for."""
        if number in self._stands_in_for:
            failed = self._stands_in_for[number]
            self.values.set(failed, self.values.result(number))

    def _ended_badly(self, number: int, state: StepState, error: Exception | None) -> None:
        if error is not None:
            self.errors[number] = str(error)
        self.stands(
            number,
            {StepState.FAILED: "failed", StepState.CANCELLED: "cancelled", StepState.BLOCKED: "blocked"}[state],  # type: ignore[arg-type]  # the three that are not done
        )

    def _failure(self, errors: Mapping[int, Exception]) -> Exception:
        failed = [self.id(number) for number in errors]
        first = next(iter(errors.values()))
        what = "; ".join(f"step {self.id(number)} failed: {error}" for number, error in errors.items())
        failure = PlanFailed(run=self._log.id, failed=failed, problem=what)
        failure.__cause__ = first
        return failure
