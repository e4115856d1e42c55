"""`InferCall`: the attempt loop. One `@infer` call from its arguments to an accepted answer or a typed failure."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from stratum.contracts.digest import digest12
from stratum.contracts.errors import (
    CallFailed,
    ContractViolation,
    ParseFailure,
    PostconditionFailed,
    PreconditionFailed,
    ProviderError,
    RunError,
    UnknownPrice,
)
from stratum.contracts.records import Answered, AttemptFinished, Record
from stratum.contracts.trace import Attempt
from stratum.contracts.violation import Violation, retry_message
from stratum.engine.active_call import ActiveCall
from stratum.engine.dialects.echo import echo
from stratum.engine.dialects.protocol import Completion
from stratum.engine.dialects.tool_name import tool_name
from stratum.engine.dialects.translated import read_recorded
from stratum.engine.envelope import Envelope, open_envelope
from stratum.engine.exchange import Exchange
from stratum.engine.history import RecordedAnswer
from stratum.engine.judgement import Judgement, unusable
from stratum.engine.line import Line
from stratum.engine.place import current_place
from stratum.engine.step_record import StepRecord

if TYPE_CHECKING:
    from stratum.actors.answer_cache import AnswerCache
    from stratum.engine.infer import Infer
    from stratum.engine.place import Place
    from stratum.engine.run import PlannedStep
    from stratum.engine.stream import Watch

R = TypeVar("R")

MAX_RAW_OUTPUT: Final = 64 * 1024
"""Characters of a rejected answer that `ParseFailure` carries."""


class InferCall(Generic[R]):
    """One call of an `@infer` function."""

    def __init__(
        self,
        step: Infer[Any, R],
        arguments: dict[str, Any],
        place: Place,
        *,
        planned: PlannedStep | None = None,
        addition: str = "",
        watch: Watch | None = None,
    ) -> None:
        self._step = step
        self._planned = planned
        self._watch = watch
        self._arguments = arguments
        self._place = place
        self._run = place.run
        self._prompt = prompt = step.prompt.render(arguments, addition=addition)
        prompt_hash = step.prompt.hash(prompt)
        first, *self._fallbacks = step.models_in(place.run.runtime)
        self._target = step.target(first, place.run.runtime)
        self._conversation = self._target.compiled.conversation(prompt)
        self._record = StepRecord(
            step,
            arguments,
            place,
            input_digest=digest12(
                f"{prompt_hash}:{step.signature.digest(arguments)}:{step.signature.returns.digest}".encode()
            ),
            model=first,
            prompt_hash=prompt_hash,
            planned=planned,
        )
        self._judged_at_once = step.judged_at_once and not (planned and planned.target)
        self._answers: AnswerCache | None = None
        if step.cache is not None:
            self._answers = place.run.answers if step.cache == "session" else place.run.runtime.answers
        self._history: list[tuple[Violation, ...]] = []
        self._sent_bytes = 0
        self._unrecorded: list[Record] = []
        """What its line leaves to be recorded with its end."""

    @property
    def _key(self) -> str:
        """Under which an answer is kept: of the model that is asked, or that gave it."""
        return self._step.cache_key(self._prompt, model=self._target.model)

    async def result(self) -> R:
        """Attempt until an answer is accepted.

        Raises:
            PreconditionFailed: `given` does not hold; nothing was sent.
            ParseFailure: retries are used up, and the last answer did not fit the contract.
            PostconditionFailed: retries are used up, and the last answer did not satisfy `ensure`.
            BudgetExceeded: this call's own budget ran out.
            NoProvider: there is none; nothing was reserved.
            ProviderError: the provider refused the call or could not be reached.
        """
        if self._record.recorded is not None:
            if self._answers is not None:
                self._answers.remember(self._key, self._record.recorded)
            return self._step.signature.returns.recall(self._record.recorded)
        try:
            if self._step.budget is None:
                return await self._attempts(self._place.envelope)
            with open_envelope(
                self._run,
                label=self._record.id,
                path=self._record.id,
                parent=self._place.envelope,
                budget=self._step.budget,
            ) as envelope:
                return await self._attempts(envelope)
        except BaseException as error:
            self._record.failed(error, before=self._unrecorded)
            raise

    async def _check_given(self) -> None:
        violations = [
            violation
            for given in self._step.given
            for violation in await given.check(self._arguments, self._record.leaked)
        ]
        if violations:
            raise PreconditionFailed(function=self._step.signature.name, violations=violations)

    async def _attempts(self, envelope: Envelope) -> R:
        with ActiveCall(envelope, around=self._place.judged) as active:
            if self._step.judged_at_once and not self._step.given:
                return await self._cached_or_new(self._line(envelope, active), envelope)
            # What conditions call (a judge, say) is a step of this call, and draws from its budget.
            inside = msgspec.structs.replace(self._place, envelope=envelope, step=self._record.id, judged=active)
            token = current_place.set(inside)
            try:
                await self._check_given()
                return await self._cached_or_new(self._line(envelope, active), envelope)
            finally:
                current_place.reset(token)

    def _cached_or_new(self, line: Line, envelope: Envelope) -> Coroutine[Any, Any, R]:
        if self._answers is None:
            return self._attempt_until_accepted(line, envelope)
        return self._kept_or_new(self._answers, line, envelope)

    async def _kept_or_new(self, answers: AnswerCache, line: Line, envelope: Envelope) -> R:
        self._pass_over_outages(line)
        if answers.in_turn(self._key):
            raise RunError(
                run=self._run.id,
                problem=f"a condition of {self._step.signature.name} makes the same call, and would wait for itself",
                fix="leave cache= out, or judge by another call",
            )
        async with answers.turn(self._key) as kept:
            judgement = None if kept is None else await self._judge_kept(kept)
            if judgement is not None and judgement.accepted:
                self._record.cache_hit = True
                await self._run.commit_result(self._record.completed(judgement.value))
                return judgement.value
            value = await self._attempt_until_accepted(line, envelope)
            await answers.keep(self._key, self._step.signature.returns.encode(value))
            return value

    async def _judge_kept(self, output: bytes) -> Judgement[R]:
        """A kept answer as if it had just come."""
        tool = tool_name(self._step.signature.name)
        return await self._judge(Completion(status="called", tool=tool, arguments=output))

    def _line(self, envelope: Envelope, active: ActiveCall) -> Line:
        self._refuse_unseen()
        if self._fallbacks and envelope.limits_money:
            self._check_prices(self._fallbacks)
        line = Line(
            self._run,
            envelope=envelope,
            active=active,
            call=self._record.id,
            target=self._target,
            unrecorded=self._unrecorded,
            images=self._prompt.images,
            watch=self._watch,
        )
        self._record.priced = line.priced
        return line

    def _refuse_unseen(self) -> None:
        """Before anything is reserved: a provider that takes no images would leave them out, or fail."""
        provider = self._run.runtime.provider
        if self._prompt.images and not provider.dialect.takes_images:
            raise ProviderError(
                provider=provider.name,
                message=f"{self._step.signature.name} has an image, and no model of this provider sees",
                fix="use a provider that takes images, as OpenAI(), or pass what is in it as text",
            )

    async def _attempt_until_accepted(self, line: Line, envelope: Envelope) -> R:
        earlier = deque(self._record.earlier.answers if self._record.earlier else ())
        failure: CallFailed | None = None
        repairs = self._planned.repairs if self._planned else 0
        for number in range(1, self._step.retries + repairs + 2):
            if earlier:
                judgement = await self._judge_recorded(earlier.popleft(), line)
            else:
                judgement = await self._judge_new(line, envelope, number=number, after=failure)
            if judgement.accepted:
                return judgement.value
            self._history.append(judgement.violations)
            failure = self._failure(judgement)
            self._conversation = self._retried(judgement)
        assert failure is not None, "there is at least one attempt"
        raise failure

    def _retried(self, judgement: Judgement[R]) -> bytes:
        """The conversation with what the model may be shown of its answer, and what was wrong with it."""
        rejected = echo(judgement.completion, said=judgement.raw, cap=self._target.cap)
        return self._target.compiled.retry(self._conversation, rejected, retry_message(judgement.violations))

    async def _judge_new(
        self, line: Line, envelope: Envelope, *, number: int, after: CallFailed | None
    ) -> Judgement[R]:
        self._run.runtime.need_provider()
        exchange = await self._answered(line, number=number, after=after)
        answered = Answered(
            elapsed_ms=self._run.elapsed_ms,
            call=self._record.id,
            number=number,
            body=exchange.body.decode(errors="replace"),
            dialect=self._run.runtime.provider.dialect.name,
        )
        unrecorded: list[Record] = [exchange.settled, answered]
        if not self._judged_at_once:
            # Judging may take long or be cancelled: what was paid for is recorded first, and judged again on resume.
            self._run.append(*unrecorded)
            unrecorded = []
        try:
            judgement = await self._judge(exchange.completion)
        except BaseException:  # a validator of the user's may raise anything; what was paid for stays recorded
            if unrecorded:
                self._run.append(*unrecorded)
            raise
        attempt = self._attempt(number, exchange, judgement.violations)
        self._record.attempts.append(attempt)
        finished = AttemptFinished(elapsed_ms=self._run.elapsed_ms, call=self._record.id, attempt=attempt)
        if judgement.accepted:
            # Without the answer: the result stands for it.
            ticket = self._record.completed(judgement.value, before=[*unrecorded[:1], finished])
            exchange.exhaust_overrun(envelope)
            await self._run.commit_result(ticket)
        else:
            self._run.append(*unrecorded, finished)
            exchange.exhaust_overrun(envelope)
        return judgement

    def _check_prices(self, models: Sequence[str]) -> None:
        """Now: while the first model cannot be reached is no time to find out."""
        runtime = self._run.runtime
        tier = self._target.service_tier
        for model in models:
            if runtime.price(model, tier=tier) is None:
                raise UnknownPrice(
                    model=model, provider=runtime.provider.name, step=self._record.id, service_tier=tier or ""
                )

    def _answered(self, line: Line, *, number: int, after: CallFailed | None) -> Coroutine[Any, Any, Exchange]:
        """By the first model that can be reached."""
        if self._fallbacks:
            return self._answered_by_any(line, number=number, after=after)
        return line.ask(self._conversation, attempt=number, after=after)

    async def _answered_by_any(self, line: Line, *, number: int, after: CallFailed | None) -> Exchange:
        while True:
            self._pass_over_outages(line)
            if not self._fallbacks:
                return await line.ask(self._conversation, attempt=number, after=after)
            try:
                with self._run.runtime.outages.watch(self._target.model):
                    return await line.ask(self._conversation, attempt=number, after=after)
            except ProviderError as error:
                if not error.retryable:
                    raise
                self._fall_back(line, why=error.message)

    def _pass_over_outages(self, line: Line) -> None:
        while self._fallbacks and (why := self._run.runtime.outages.spare(self._target.model)):
            self._fall_back(line, why=why)

    def _fall_back(self, line: Line, *, why: str) -> None:
        self._record.fallbacks.append(f"{self._target.model}: {why}")
        self._target = self._step.target(self._fallbacks.pop(0), self._run.runtime)
        self._conversation = self._target.compiled.taken_over(self._conversation)
        line.turn_to(self._target)
        self._record.model, self._record.priced = self._target.model, line.priced

    async def _judge_recorded(self, earlier: RecordedAnswer, line: Line) -> Judgement[R]:
        """Judge an answer that was paid for before the run was resumed."""
        completion = read_recorded(
            earlier.body.encode(),
            recorded=earlier.dialect,
            dialect=self._run.runtime.provider.dialect,
            tool=tool_name(self._step.signature.name),
        )
        if earlier.verdict is not None:
            self._record.attempts.append(earlier.verdict)
            # Read again, so that the call fails in the way it did: a flow may have caught that.
            return replace(self._read(completion), violations=earlier.verdict.violations)
        judgement = await self._judge(completion)
        attempt = Attempt(
            number=earlier.number,
            duration_ms=0,
            usage=completion.usage,
            picousd=line.cost(completion),
            violations=judgement.violations,
            response_id=completion.response_id,
            service_tier=completion.service_tier,
        )
        self._record.attempts.append(attempt)
        finished = AttemptFinished(elapsed_ms=self._run.elapsed_ms, call=self._record.id, attempt=attempt)
        if judgement.accepted:
            await self._run.commit_result(self._record.completed(judgement.value, before=[finished]))
        else:
            self._run.append(finished)
        return judgement

    def _read(self, completion: Completion) -> Judgement[R]:
        """By the contract alone."""
        raw = completion.arguments.decode(errors="replace") or completion.text
        if completion.status != "called" or completion.tool not in ("", tool_name(self._step.signature.name)):
            return Judgement(completion=completion, violations=(unusable(completion, said=raw),), raw=raw)
        try:
            value = self._step.signature.returns.decode(completion.arguments)
        except ContractViolation as error:
            return Judgement(completion=completion, violations=tuple(error.violations), raw=raw)
        return Judgement(completion=completion, violations=(), raw=raw, parsed=True, answer=value)

    async def _judge(self, completion: Completion) -> Judgement[R]:
        """The contract first, then every postcondition: all violations of one answer are found together."""
        read = self._read(completion)
        if not read.parsed:
            return read
        violations = await self._run.runtime.timed("ensure", self._violations(read.value))
        return replace(read, violations=tuple(violations)) if violations else read

    async def _violations(self, answer: R) -> list[Violation]:
        return [
            violation
            for postcondition in self._step.ensure
            for violation in await postcondition.check(answer, self._arguments, self._record.leaked)
        ]

    def _attempt(self, number: int, exchange: Exchange, violations: tuple[Violation, ...]) -> Attempt:
        usage = exchange.completion.usage
        previous = self._record.attempts[-1].usage if self._record.attempts else None
        new_bytes, self._sent_bytes = exchange.request_bytes - self._sent_bytes, exchange.request_bytes
        return Attempt(
            number=number,
            duration_ms=exchange.duration_ms,
            usage=usage,
            picousd=exchange.settled.picousd,
            estimated=exchange.settled.estimated,
            new_input_bytes=new_bytes,
            new_input_tokens=0 if usage is None else usage.input_tokens - (previous.input_tokens if previous else 0),
            violations=violations,
            transport_retries=exchange.transport_retries,
            response_id=exchange.completion.response_id,
            service_tier=exchange.completion.service_tier,
            error="the provider billed more than was reserved" if exchange.overrun else "",
        )

    def _failure(self, judgement: Judgement[R]) -> CallFailed:
        function, history = self._step.signature.name, tuple(self._history)
        if judgement.parsed:
            return PostconditionFailed(
                function=function, violations=judgement.violations, retry_history=history, output=judgement.answer
            )
        raw_output = judgement.raw[:MAX_RAW_OUTPUT]
        return ParseFailure(
            function=function, violations=judgement.violations, retry_history=history, raw_output=raw_output
        )
