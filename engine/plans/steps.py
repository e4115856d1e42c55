"""`PlanSteps`: the steps of one plan at work, or of a plan within it.

Above: `PlanRun`, which people and agents ask and tell. Below: the scheduler, which calls `_run_step` for each step that is
ready; the doers, one for each kind; the conditions. What a step is worth is decided here, and recorded before it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.budget import Budget
from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.plan import Command, Kind, Step
from stratum.contracts.plan_errors import PlanFailed, StepRejected
from stratum.contracts.plan_status import StepStanding
from stratum.contracts.records import AttemptFinished, Record, Repeated, Skipped, StartedOver
from stratum.contracts.reference import read_reference
from stratum.contracts.signature import Parameter, Signature
from stratum.contracts.trace import Attempt
from stratum.contracts.violation import Violation
from stratum.engine.compute import Compute
from stratum.engine.envelope import Envelope, open_envelope
from stratum.engine.infer import DEFAULT_RETRIES
from stratum.engine.lane import Lane
from stratum.engine.place import Place, current_place
from stratum.engine.plans.agent_doer import AgentDoer
from stratum.engine.plans.command import CommandRun
from stratum.engine.plans.command_doer import CommandDoer
from stratum.engine.plans.compute_doer import ComputeDoer
from stratum.engine.plans.conditions import Conditions, Verified
from stratum.engine.plans.doer import Doer, Outcome
from stratum.engine.plans.gate_doer import GateDoer, Revise
from stratum.engine.plans.gathering import Gathering
from stratum.engine.plans.infer_steps import infer_call
from stratum.engine.plans.plain_steps import PlainCall, PlainSteps
from stratum.engine.plans.step_history import StepHistory
from stratum.engine.plans.sub_plan_doer import SubPlanDoer
from stratum.engine.plans.values import Values
from stratum.engine.progress import StepState
from stratum.engine.scheduler import StartOver, run_dag
from stratum.engine.step_record import StepRecord

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun


STAGNANT: Final = 3
"""Equal results in a row that end a repetition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedCall:
    """A plan's step as its record knows it."""

    kind: Kind
    signature: Signature[Any]


class PlanSteps:
    """One plan's."""

    def __init__(
        self,
        run: PlanRun,
        compiled: CompiledPlan,
        *,
        inputs: Mapping[str, Any],
        place: Place,
        prefix: str = "",
    ) -> None:
        self.compiled = compiled
        self.values = Values(compiled, inputs)
        self.standing: list[StepStanding] = ["waiting"] * len(compiled.plan.steps)
        self.errors: dict[int, str] = {}
        self.inside: dict[int, PlanSteps] = {}
        """The steps of the plans that steps of this one run."""
        self._run = run
        self._log = run.log
        self._place = place
        self._prefix = prefix
        self._gathering = Gathering(run, self)
        self._conditions = Conditions(
            compiled, self.values, sources=run.sources, judge=run.judge, gathering=self._gathering
        )
        self._targets = {
            compiled.index[id]
            for step in compiled.plan.steps
            for id in (step.repair, step.gate.revise if step.gate else "")
            if id
        }
        self._stands_in_for = {
            compiled.index[step.on_fail]: number for number, step in enumerate(compiled.plan.steps) if step.on_fail
        }
        self._failed_with_stand_in: set[int] = set()
        self._plain = PlainSteps(run.functions, apart=self._targets | self._stands_in_for.keys())

    async def result(self) -> Any:
        """Do every step; what the plan returns, as JSON values.

        Raises:
            PlanFailed: steps failed for good.
            BudgetExceeded: of a step's own budget, where that was the only failure.
        """
        plan = self.compiled.plan
        ended = await run_dag(
            self.compiled.dag,
            self._run_step,
            max_in_flight=plan.max_in_flight,
            fail_fast=plan.fail_fast,
            on_end=self._ended_badly,
        )
        if not ended.succeeded:
            raise self._failure(ended.errors)
        if not plan.output:
            return self.values.plain(len(plan.steps) - 1)
        return self.values.at(read_reference(plan.output, path="$.output"))

    def id(self, number: int) -> str:
        """The step's id in the run: that of the step whose plan this is comes first."""
        return self._prefix + self.compiled.plan.steps[number].id

    def stands(self, number: int, standing: StepStanding) -> None:
        """The step has come to stand otherwise."""
        self.standing[number] = standing
        self._run.touch()

    def gathered(self, id: str, command: Command, run: CommandRun) -> None:
        """A step's program has ended: what it wrote is evidence."""
        self._gathering.note(id, command, run)

    @trio.lowlevel.enable_ki_protection
    async def _run_step(self, number: int, lane: Lane) -> StartOver | None:
        step, id = self.compiled.plan.steps[number], self.id(number)
        if self._log.past.done(id) and not self._is_unverified(number, step):
            self._take_up(number, id)
            return None
        if (call := self._plain.call(number, step)) is not None:
            await self._compute(call, number, step, id)
            return None
        if (reason := await self._not_needed(number, step)) is not None:
            self._skip(number, id, reason)
            return None
        self.stands(number, "running")
        try:
            if self.compiled.kinds[number] == "plan":
                started_over = await self._do(number, step, id)
            else:
                with self._run.clock.at_work():
                    started_over = await self._do(number, step, id)
        except Exception as error:
            if not step.on_fail:
                raise
            self.errors[number] = str(error)
            self._failed_with_stand_in.add(number)
            self.stands(number, "failed")
            return None
        if started_over is None:
            self.stands(number, "done")
        return started_over

    async def _compute(self, call: PlainCall, number: int, step: Step, id: str) -> None:
        try:
            call(id, number, step, values=self.values, log=self._log)
        except BaseException as error:
            planned, arguments = self._call(number, step)
            StepRecord(planned, arguments, self._place, planned=self._log.past.of(id)).failed(error)
            raise
        self.standing[number] = "done"
        self._run.touch()
        if self._log.crowded:
            await self._log.room()

    def _is_unverified(self, number: int, step: Step) -> bool:
        """It had a result before the run was stopped, and perhaps nobody had yet looked at whether that is good enough."""
        if step.repeat is not None:
            repeats = self._log.past.of(self.id(number)).repeats
            return not (repeats and repeats[-1].last)
        if not step.repair or self.compiled.kinds[number] != "infer":
            return False
        return not any(self._log.past.began(self.id(other)) for other in self.compiled.dag.successors[number])

    def _take_up(self, number: int, id: str) -> None:
        """It was done before the run was resumed."""
        past = self._log.past
        plain = past.plain.get(id)
        if plain is None and past.of(id).skipped is not None:
            self.standing[number] = "skipped"
            return
        output = bytes(plain.output) if plain is not None else past.of(id).output
        self.values.set(number, self.values.codec(number).decode(output))
        self.standing[number] = "done"
        self._fill_place(number)

    async def _not_needed(self, number: int, step: Step) -> str | None:
        """Why the step is not to be done; `None` if it is."""
        if number in self._stands_in_for and self._stands_in_for[number] not in self._failed_with_stand_in:
            return f"step {self.compiled.plan.steps[self._stands_in_for[number]].id} did not fail"
        if step.when:
            inputs = self.values.plain_arguments(step)
            unmet = await self._conditions.unmet(step.when, number, step=self.id(number), inputs=inputs)
            return unmet or None
        return None

    def _skip(self, number: int, id: str, why: str) -> None:
        self._log.append(Skipped(elapsed_ms=self._log.elapsed_ms, call=id, why=why))
        self.values.set(number, None)
        self.stands(number, "skipped")

    async def _do(self, number: int, step: Step, id: str) -> StartOver | None:
        past = self._log.past.of(id)
        past.target = number in self._targets
        with ExitStack() as stack:
            envelope = self._place.envelope
            budget = step.budget or self._budget_of_inner(number, step)
            if budget is not None and self.compiled.kinds[number] != "infer":
                envelope = stack.enter_context(self._own_envelope(id, budget))
            place = replace(self._place, envelope=envelope)
            while True:
                started_over = await self._once(number, step, place, past)
                if started_over is not None or step.repeat is None or self._is_enough(number, step, past):
                    return started_over

    async def _once(self, number: int, step: Step, place: Place, past: StepHistory) -> StartOver | None:
        if self.compiled.kinds[number] == "infer":
            verified = await self._infer(number, step, place, past)
            return self._send(number, step, past, verified.violations) if verified.violations else None
        return await self._attempts(number, step, place, past)

    def _is_enough(self, number: int, step: Step, past: StepHistory) -> bool:
        """Whether the step need not be done again; the best of its results is then its result."""
        assert step.repeat is not None, "asked of repeated steps"
        inputs, result = self.values.plain_arguments(step), self.values.plain(number)
        enough = bool(self._conditions.value(step.repeat.until, number, result, inputs=inputs))
        score = self._conditions.value(step.repeat.score, number, result, inputs=inputs) if step.repeat.score else None
        output = msgspec.Raw(self.values.codec(number).encode(self.values.result(number)))
        same = [bytes(earlier.output) for earlier in past.repeats[-STAGNANT + 1 :]]
        stagnant = len(same) == STAGNANT - 1 and all(each == bytes(output) for each in same)
        last = enough or stagnant or len(past.repeats) + 1 >= step.repeat.limit
        self._append(Repeated(elapsed_ms=self._log.elapsed_ms, call=past.id, output=output, score=score, last=last))
        if last:
            self._accept(number, self.values.codec(number).decode(past.best))
        return last

    def _budget_of_inner(self, number: int, step: Step) -> Budget | None:
        inner = self.compiled.plans.get(step.fn) if self.compiled.kinds[number] == "plan" else None
        return None if inner is None else inner.plan.budget

    def _own_envelope(self, id: str, budget: Budget) -> AbstractContextManager[Envelope]:
        outer = self._place.envelope
        return open_envelope(self._log, label=id, path=id, parent=outer, parent_scope=outer.scope, budget=budget)

    async def _infer(self, number: int, step: Step, place: Place, past: StepHistory) -> Verified:
        """A call has its own attempt loop: what its plan asks of it is checked there, unless that goes to another step."""
        inputs = self.values.plain_arguments(step)
        conditions = () if step.repair else step.conditions

        async def check(value: Any) -> list[Violation]:
            plain = self.values.codec(number).jsonable(value, redact=False)
            verified = await self._conditions.verify(conditions, number, plain, step=past.id, inputs=inputs)
            return list(verified.violations)

        call = infer_call(
            step,
            self._run.functions.steps.get(step.fn),
            returns=self.values.codec(number),
            values=self.values,
            place=place,
            planned=past,
            check=check if conditions else None,
        )
        result = await call.result()
        self._accept(number, result)
        if not step.repair:
            return Verified()
        return await self._conditions.verify(
            step.conditions, number, self.values.plain(number), step=past.id, inputs=inputs
        )

    async def _attempts(self, number: int, step: Step, place: Place, past: StepHistory) -> StartOver | None:
        """Attempt until the result is acceptable, or its violations go to another step."""
        call, arguments = self._call(number, step)
        record = StepRecord(call, arguments, place, planned=past)
        record.attempts = list(past.attempts)
        token = current_place.set(replace(place, step=past.id))
        try:
            doer = self._doer(number, step, past, arguments, record, place)
            return await self._until_accepted(number, step, past, doer, record)
        except BaseException as error:
            record.failed(error)
            raise
        finally:
            current_place.reset(token)

    async def _until_accepted(
        self, number: int, step: Step, past: StepHistory, doer: Doer, record: StepRecord
    ) -> StartOver | None:
        inputs = self.values.plain_arguments(step)
        kind = self.compiled.kinds[number]
        # A program that failed would most likely do so again, and have its effects twice.
        retries = step.retries if step.retries is not None else 0 if kind == "command" else DEFAULT_RETRIES
        changes_files = kind in ("agent", "command")
        if changes_files:
            await self._gathering.keep_before(past.id)
        while True:
            started_s = trio.current_time()
            self._gathering.forget(past.id)
            try:
                outcome = await doer.attempt(past.sent)
            except Revise as revise:
                return self._start_over(number, step.gate.revise if step.gate else "", revise.violations)
            verified = Verified(violations=outcome.violations)
            if not outcome.violations:
                verified = await self._verify(number, step, outcome, id=past.id, inputs=inputs)
            sent_on = bool(verified.violations and step.repair and not outcome.violations)
            kept = await self._gathering.keep_after(past.id) if changes_files and not verified.violations else ()
            finished = self._attempted(
                record, past, outcome, () if sent_on else verified.violations, started_s=started_s
            )
            # An attempt is recorded together with what comes of it: killed in between, it would be taken for another.
            if not verified.violations:
                record.completed(outcome.result, before=[*kept, finished])
                self._accept(number, outcome.result)
                doer.judged((), verified.attested, last=True)
                return None
            if sent_on:
                doer.judged(verified.violations, verified.attested, last=True)
                return self._send(number, step, past, verified.violations, before=[finished])
            self._append(finished)
            tried = sum(bool(attempt.violations) for attempt in past.attempts) - past.repairs
            doer.judged(verified.violations, verified.attested, last=tried > retries)
            if tried > retries:
                raise StepRejected(
                    function=past.id,
                    violations=verified.violations,
                    retry_history=[attempt.violations for attempt in record.attempts if attempt.violations],
                )

    async def _verify(
        self, number: int, step: Step, outcome: Outcome, *, id: str, inputs: Mapping[str, Any]
    ) -> Verified:
        if not step.conditions:
            return Verified()
        plain = self.values.codec(number).jsonable(outcome.result, redact=False)
        return await self._conditions.verify(step.conditions, number, plain, step=id, inputs=inputs)

    def _attempted(
        self,
        record: StepRecord,
        past: StepHistory,
        outcome: Outcome,
        violations: Sequence[Violation],
        *,
        started_s: float,
    ) -> AttemptFinished:
        attempt = Attempt(
            number=len(past.attempts) + 1,
            duration_ms=round((trio.current_time() - started_s) * 1000),
            usage=outcome.usage,
            picousd=outcome.picousd,
            violations=tuple(violations),
        )
        record.attempts.append(attempt)
        record.priced = record.priced and outcome.priced
        return AttemptFinished(elapsed_ms=self._log.elapsed_ms, call=past.id, attempt=attempt)

    def _send(
        self,
        number: int,
        step: Step,
        past: StepHistory,
        violations: Sequence[Violation],
        *,
        before: Sequence[Record] = (),
    ) -> StartOver:
        """Have the step that the plan names mend them; `before` is recorded together with that, first.

        Raises:
            StepRejected: that was tried as often as it may be.
        """
        if past.asked_repairs >= (DEFAULT_RETRIES if step.retries is None else step.retries):
            self._append(*before)
            raise StepRejected(function=past.id, violations=violations, retry_history=[violations])
        return self._start_over(number, step.repair, violations, before=before)

    def _start_over(
        self, number: int, first: str, violations: Sequence[Violation], *, before: Sequence[Record] = ()
    ) -> StartOver:
        """Void the first step's result and all that came of it."""
        target = self.compiled.index[first]
        overtaken = sorted({target, *self.compiled.dag.descendants(target)})
        self._append(
            *before,
            StartedOver(
                elapsed_ms=self._log.elapsed_ms,
                call=self.id(number),
                first=self.id(target),
                violations=list(violations),
                overtaken=[self.id(other) for other in overtaken],
            ),
        )
        for other in overtaken:
            self.values.set(other, None)
            self._failed_with_stand_in.discard(other)
            self.inside.pop(other, None)
            self.standing[other] = "waiting"
        self._run.touch()
        return StartOver(target)

    def _call(self, number: int, step: Step) -> tuple[PlannedCall, dict[str, Any]]:
        """The step as its record knows it, and its arguments."""
        kind = self.compiled.kinds[number]
        function = self._run.functions.steps.get(step.fn) if kind == "compute" else None
        if function is not None:
            signature = function.signature
            arguments = signature.bind(
                (),
                self.values.arguments(
                    step, {name: parameter.codec for name, parameter in signature.parameters.items()}
                ),
            )
            return PlannedCall(kind=kind, signature=signature), arguments
        inputs = self.values.plain_arguments(step)
        parameters = {name: Parameter(name=name, codec=ANY_JSON, opaque=False) for name in inputs}
        name = step.fn or step.intent or kind
        signature = Signature(
            name=name,
            qualname=name,
            parameters=parameters,
            returns=self.values.codec(number),
            arguments_of=dict,
        )
        return PlannedCall(kind=kind, signature=signature), inputs

    def _doer(
        self,
        number: int,
        step: Step,
        past: StepHistory,
        arguments: dict[str, Any],
        record: StepRecord,
        place: Place,
    ) -> Doer:
        match self.compiled.kinds[number]:
            case "compute":
                function = self._run.functions.steps[step.fn]
                assert isinstance(function, Compute)
                return ComputeDoer(function, arguments, record)
            case "agent":
                return AgentDoer(self._run, self, number, past, arguments, place.envelope)
            case "command":
                return CommandDoer(self._run, self, number, past)
            case "gate":
                return GateDoer(self._run, self, number, past)
            case "plan":
                return SubPlanDoer(self._inner(number, step, arguments, place))
            case "infer":
                raise AssertionError("a call has its own attempt loop")

    def _inner(self, number: int, step: Step, inputs: Mapping[str, Any], place: Place) -> PlanSteps:
        """The steps of the plan that the step runs."""
        prefix = f"{self.id(number)}/"
        inner = PlanSteps(self._run, self.compiled.plans[step.fn], inputs=inputs, place=place, prefix=prefix)
        self.inside[number] = inner
        return inner

    def _accept(self, number: int, result: Any) -> None:
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

    def _append(self, *records: Record) -> None:
        if records:
            self._log.append(*records)
