"""`StepWork`: one step of a plan, from its first attempt to a result that counts, or to another step that is to mend it.

Above: `PlanSteps`, which says when. Below: the doers, one for each kind; the conditions. What an attempt is worth is decided
here, and recorded together with what comes of it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.errors import ContractViolation
from stratum.contracts.plans.accumulated import accumulated
from stratum.contracts.plans.errors import MergeConflict, StepRejected
from stratum.contracts.plans.plan import Accumulate, Kind
from stratum.contracts.python_value import shown
from stratum.contracts.records import AttemptFinished, Record, Repeated, SnapshotTaken
from stratum.contracts.shape import is_dict
from stratum.contracts.signature import Parameter, Signature
from stratum.contracts.trace import Attempt
from stratum.contracts.violation import Violation
from stratum.engine.compute import Compute
from stratum.engine.envelope import Envelope, open_envelope
from stratum.engine.infer import DEFAULT_RETRIES
from stratum.engine.place import current_place
from stratum.engine.plans.clock import Clock
from stratum.engine.plans.conditions import Verified
from stratum.engine.plans.doers.agent_doer import AgentDoer, ReportTakenBack
from stratum.engine.plans.doers.command_doer import CommandDoer
from stratum.engine.plans.doers.compute_doer import ComputeDoer
from stratum.engine.plans.doers.doer import Doer, Outcome
from stratum.engine.plans.doers.gate_doer import GateDoer, Revise
from stratum.engine.plans.doers.sub_plan_doer import SubPlanDoer
from stratum.engine.plans.infer_steps import infer_call
from stratum.engine.plans.step_history import best_of
from stratum.engine.recorded_as import RecordedAs
from stratum.engine.scheduling.scheduler import StartOver
from stratum.engine.step_record import StepRecord

if TYPE_CHECKING:
    from stratum.engine.plans.steps import PlanSteps

STAGNANT: Final = 3
"""Equal results in a row that end a repetition."""


class _Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, and what was found when it was looked at."""

    outcome: Outcome
    verified: Verified
    kept: Sequence[SnapshotTaken]
    """The files as an attempt that is accepted leaves them."""
    sent_on: bool
    """Its violations go to another step, to be mended there."""


class StepWork:
    """One step, this time."""

    def __init__(self, steps: PlanSteps, number: int) -> None:
        self._steps = steps
        self._number = number
        self._values = steps.values
        self._log = steps.run.log
        self._step = steps.compiled.plan.steps[number]
        self._kind: Kind = steps.compiled.kinds[number]
        self._past = self._log.past.of(steps.id(number))
        self._past.target = number in steps.targets
        self._codec = steps.values.codec(number)
        self._place = steps.place

    async def do(self) -> StartOver | None:
        """Do it, as often as its plan says; which step is to do it over, where that is not this one.

        Raises:
            StepRejected: its retries are used up. And whatever its function raises.
        """
        with self._own_budget() as envelope, self._at_work():
            self._place = msgspec.structs.replace(self._place, envelope=envelope)
            while True:
                started_over = await self._once()
                if started_over is not None or self._step.repeat is None or self._was_last_time():
                    return started_over

    def record(self, *, since_s: float) -> StepRecord:
        """Record its beginning, of a plain step that turns out to be more than that."""
        try:
            call, arguments = self._call()
        except ContractViolation:
            call, arguments = self._as_written()
        return StepRecord(call, arguments, self._place, planned=self._past, since_s=since_s)

    def failed(self, error: Exception) -> None:
        """Record that it failed, if it did before it could begin."""
        if self._past.recorded.finished is None:
            call, arguments = self._as_written()
            StepRecord(call, arguments, self._place, planned=self._past).failed(error)

    def completed(self, record: StepRecord, result: Any, *, since_s: float) -> None:
        """Record its end, of such a step."""
        attempt = self._attempt(Outcome(result=result), Verified(), started_s=since_s)
        record.attempts.append(attempt)
        finished = AttemptFinished(elapsed_ms=self._log.elapsed_ms, call=self._past.id, attempt=attempt)
        record.completed(result, before=[finished])

    def _at_work(self) -> AbstractContextManager[None]:
        """The inner steps of a plan are at work themselves."""
        return nullcontext() if self._kind == "plan" else self._steps.clock(self._number).at_work()

    @contextmanager
    def _own_budget(self) -> Generator[Envelope]:
        outer = self._place.envelope
        inner = self._steps.compiled.plans.get(self._step.fn) if self._kind == "plan" else None
        budget = self._step.budget or (None if inner is None else inner.plan.budget)
        if budget is None or self._kind == "infer":  # a call opens its own
            yield outer
            return
        id, clocks = self._past.id, self._steps.own_clocks
        with open_envelope(self._log, label=id, path=id, parent=outer, budget=budget) as envelope:
            clocks[self._number] = Clock(self._log, around=self._steps.clock(self._number))
            clocks[self._number].starts(envelope)
            try:
                yield envelope
            finally:
                del clocks[self._number]

    async def _once(self) -> StartOver | None:
        if self._kind != "infer":
            return await self._attempts()
        verified = await self._infer()
        return self._send(verified.violations) if verified.violations else None

    async def _infer(self) -> Verified:
        """A call has its own attempt loop: what its plan asks of it is checked there, unless that goes to another step."""
        conditions = () if self._step.repair else self._step.conditions

        async def check(value: Any) -> list[Violation]:
            return list((await self._verify(value)).violations)

        call = infer_call(
            self._step,
            self._steps.run.functions.steps.get(self._step.fn),
            returns=self._codec,
            values=self._values,
            place=self._place,
            planned=self._past,
            check=check if conditions else None,
        )
        result = await call.result()
        self._steps.accept(self._number, result)
        return await self._verify(result) if self._step.repair else Verified()

    async def _attempts(self) -> StartOver | None:
        """Attempt until the result is acceptable, or its violations go to another step."""
        call, arguments = self._call()
        record = StepRecord(call, arguments, self._place, planned=self._past)
        record.attempts = list(self._past.attempts)
        token = current_place.set(msgspec.structs.replace(self._place, step=self._past.id))
        try:
            return await self._until_accepted(self._doer(arguments, record), record)
        except BaseException as error:
            record.failed(error)
            raise
        finally:
            self._steps.run.handouts.beginning.discard(self._past.id)
            current_place.reset(token)

    async def _until_accepted(self, doer: Doer, record: StepRecord) -> StartOver | None:
        if self._kind == "agent":
            self._steps.run.handouts.beginning.add(self._past.id)
        if self._changes_files:
            await self._steps.files.keep_before(self._past.id)
        while True:
            started_s = self._log.now()
            try:
                tried = await self._try(doer)
            except Revise as revise:
                assert self._step.gate is not None, "only gates are revised"
                return self._steps.start_over(self._number, self._step.gate.revise, revise.violations)
            except ReportTakenBack:
                continue
            finished = self._noted(tried, record, started_s=started_s)
            # An attempt is recorded together with what comes of it: killed in between, it would be taken for another.
            if not tried.verified.violations:
                record.completed(tried.outcome.result, before=[*tried.kept, finished])
                self._steps.accept(self._number, tried.outcome.result)
                _tell(doer, tried.verified, last=True)
                return None
            if tried.sent_on:
                _tell(doer, tried.verified, last=True, sent_on=self._may_send)
                return self._send(tried.verified.violations, before=[finished])
            self._log.append(finished)
            last = self._past.rejected > self._retries
            _tell(doer, tried.verified, last=last)
            if last:
                raise self._failure(tried, record)

    async def _try(self, doer: Doer) -> _Tried:
        """Make one attempt, and look at what it brought."""
        files, past = self._steps.files, self._past
        self._steps.gathering.forget(past.id)
        outcome = await doer.attempt(past.sent)
        with doer.verifying() if isinstance(doer, AgentDoer) else nullcontext():
            flawed = outcome.violations
            if not flawed and not outcome.own_tree:
                flawed = await files.strayed(self._number)
            verified = Verified(violations=flawed) if flawed else await self._verify(outcome.result)
            kept = await files.keep_after(past.id) if self._changes_files and not verified.violations else ()
        sent_on = bool(verified.violations and self._step.repair and not flawed)
        return _Tried(outcome=outcome, verified=verified, kept=kept, sent_on=sent_on)

    def _noted(self, tried: _Tried, record: StepRecord, *, started_s: float) -> AttemptFinished:
        """The attempt, for the journal; what another step is to mend is no failure of this one."""
        found = Verified(attested=tried.verified.attested) if tried.sent_on else tried.verified
        attempt = self._attempt(tried.outcome, found, started_s=started_s)
        record.attempts.append(attempt)
        record.priced = record.priced and tried.outcome.priced
        return AttemptFinished(elapsed_ms=self._log.elapsed_ms, call=self._past.id, attempt=attempt)

    def _failure(self, tried: _Tried, record: StepRecord) -> StepRejected:
        return (MergeConflict if tried.outcome.conflict else StepRejected)(
            function=self._past.id,
            violations=tried.verified.violations,
            retry_history=[attempt.violations for attempt in record.attempts if attempt.violations],
        )

    @property
    def _changes_files(self) -> bool:
        return self._kind in ("agent", "command")

    @property
    def _retries(self) -> int:
        if self._step.retries is not None:
            return self._step.retries
        # A program that failed would most likely do so again, and have its effects twice.
        return 0 if self._kind == "command" else DEFAULT_RETRIES

    async def _verify(self, result: Any) -> Verified:
        if not self._step.conditions:
            return Verified()
        plain = self._codec.jsonable(result, redact=False)
        inputs = self._values.plain_arguments(self._step)
        return await self._steps.conditions.verify(
            self._step.conditions, self._number, plain, step=self._past.id, inputs=inputs
        )

    def _attempt(self, outcome: Outcome, found: Verified, *, started_s: float) -> Attempt:
        return Attempt(
            number=len(self._past.attempts) + 1,
            duration_ms=round((self._log.now() - started_s) * 1000),
            usage=outcome.usage,
            picousd=outcome.picousd,
            violations=found.violations,
            attested=found.attested,
            flagged=outcome.flagged,
        )

    @property
    def _may_send(self) -> bool:
        """Whether the step that mends has not been asked as often as it may be."""
        return self._past.asked_repairs < (DEFAULT_RETRIES if self._step.retries is None else self._step.retries)

    def _send(self, violations: Sequence[Violation], *, before: Sequence[Record] = ()) -> StartOver:
        """Have the step that the plan names mend them; `before` is recorded together with that, first.

        Raises:
            StepRejected: that was tried as often as it may be.
        """
        if not self._may_send:
            if before:
                self._log.append(*before)
            raise StepRejected(function=self._past.id, violations=violations, retry_history=[violations])
        return self._steps.start_over(self._number, self._step.repair, violations, before=before)

    def _was_last_time(self) -> bool:
        """Record what this time of a repetition brought, and whether it was the last: the best of all times is then the result."""
        repeat, past = self._step.repeat, self._past
        assert repeat is not None, "asked of repeated steps"
        inputs, result = self._values.plain_arguments(self._step), self._values.plain(self._number)
        value = self._steps.conditions.value
        enough = bool(value(repeat.until, result, inputs=inputs))
        score = value(repeat.score, result, inputs=inputs) if repeat.score else None
        output = msgspec.Raw(self._codec.record(self._values.result(self._number)))
        same = [bytes(earlier.output) for earlier in past.repeats[-STAGNANT + 1 :]]
        stagnant = len(same) == STAGNANT - 1 and all(each == bytes(output) for each in same)
        last = enough or stagnant or len(past.repeats) + 1 >= repeat.limit
        once_more = Repeated(elapsed_ms=self._log.elapsed_ms, call=past.id, output=output, score=score, last=last)
        if repeat.accumulate is not None:
            once_more = self._accumulating(once_more, repeat.accumulate)
            last = once_more.last
        self._log.append(once_more)
        if last:
            self._steps.accept(self._number, self._codec.recall(past.best))
        return last

    def _accumulating(self, repeated: Repeated, how: Accumulate) -> Repeated:
        """The end of this time, with what all times found where it is the last."""
        times = [*self._past.repeats, repeated]
        found = accumulated([msgspec.json.decode(bytes(each.output)) for each in times], how)
        last = repeated.last or 0 < how.dry <= found.dry
        if not last:
            return repeated
        repeated = msgspec.structs.replace(repeated, last=True)
        best = shown(best_of([*self._past.repeats, repeated]))
        if is_dict(best):
            best = {**best, how.field: found.items}
        return msgspec.structs.replace(repeated, merged=msgspec.Raw(msgspec.json.encode(best)))

    def _call(self) -> tuple[RecordedAs[Any], dict[str, Any]]:
        """The step as its record knows it, and its arguments."""
        function = self._steps.run.functions.steps.get(self._step.fn) if self._kind == "compute" else None
        if function is not None:
            codecs = {name: parameter.codec for name, parameter in function.signature.parameters.items()}
            arguments = function.signature.bind((), self._values.arguments(self._step, codecs))
            return RecordedAs(kind=self._kind, signature=function.signature), arguments
        inputs = self._values.plain_arguments(self._step)
        return self._taking(inputs), inputs

    def _as_written(self) -> tuple[RecordedAs[Any], dict[str, Any]]:
        """The same where its references lead to nothing that it takes."""
        return self._taking(self._step.inputs), dict(self._step.inputs)

    def _taking(self, names: Iterable[str]) -> RecordedAs[Any]:
        name = self._step.fn or self._step.intent or self._kind
        signature = Signature(
            name=name,
            qualname=name,
            parameters={name: Parameter(name=name, codec=ANY_JSON, opaque=False) for name in names},
            returns=self._codec,
            arguments_of=dict,
        )
        return RecordedAs(kind=self._kind, signature=signature)

    def _doer(self, arguments: dict[str, Any], record: StepRecord) -> Doer:
        steps, run, number, past = self._steps, self._steps.run, self._number, self._past
        match self._kind:
            case "compute":
                function = run.functions.steps[self._step.fn]
                assert isinstance(function, Compute), "that is its kind"
                return ComputeDoer(function, arguments, record)
            case "agent":
                return AgentDoer(run, steps, number, past, arguments, self._place.envelope)
            case "command":
                return CommandDoer(run, steps, number, past)
            case "gate":
                return GateDoer(run, steps, number, past)
            case "plan":
                return SubPlanDoer(steps.begin_inside(number, arguments, self._place))
            case "infer":
                raise AssertionError("a call has its own attempt loop")


def _tell(doer: Doer, verified: Verified, *, last: bool, sent_on: bool = False) -> None:
    """Only whoever reported a step waits to hear what came of it."""
    if isinstance(doer, AgentDoer):
        doer.judged(verified.violations, verified.attested, last=last, sent_on=sent_on)
