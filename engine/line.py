"""`Line`: one call's connection to its provider; every request reserved before it is sent, and settled by its answer.

Below: ledger, journal, limiter, provider. Above: the attempt loop, which judges what comes back. Transport failures are
retried here, inside the budget, and are not attempts.

Long, because each way on which a request can end gives its reservation back in another manner, and whoever checks that none
forgets it, or bills it twice, must have them all before their eyes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NoReturn

import trio

from stratum.actors.ledger import Amount, Demand, Refused, Reservation
from stratum.contracts.errors import CallFailed, OnHold, ProviderError, UnknownPrice
from stratum.contracts.price import FREE
from stratum.contracts.records import LeftInDoubt, Record, Released, Reserved, Settled
from stratum.engine.active_call import ActiveCall
from stratum.engine.dialects.protocol import Completion
from stratum.engine.envelope import Envelope, Overrun
from stratum.engine.exchange import Exchange
from stratum.engine.pricing.tokens import exact_bound, excess, input_bound, note_overrun
from stratum.engine.providers.protocol import Answer, Request, StatusError, TransportFailure
from stratum.engine.retry_after import retry_after_s
from stratum.engine.sending import Sending
from stratum.engine.shared_allowance import AllowanceSpent
from stratum.engine.stopped import was_stopped
from stratum.engine.target import Target

if TYPE_CHECKING:
    from stratum.contracts.image import Image
    from stratum.engine.run import Run
    from stratum.engine.stream import Watch

RETRYABLE_STATUSES: Final = frozenset({408, 409, 425, 429})
"""Besides all of 5xx. As the OpenAI SDK does it, plus 425 (Too Early)."""
FIRST_BACKOFF_S: Final = 0.5
LONGEST_BACKOFF_S: Final = 8.0
"""As the OpenAI SDK; a provider's own Retry-After may ask for longer."""
LONGEST_WAIT_S: Final = 3600.0
"""Whoever asks for more is not waited for: a quota of the day, or a gateway's mistake, would hold a call without a deadline for ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failure:
    """Why a request has to be sent again, or cannot be."""

    error: ProviderError
    retry_after_s: float | None = None
    final: bool = False
    """Another model may be asked, but not this one again."""


class Line:
    """One call's way to its provider."""

    def __init__(
        self,
        run: Run,
        *,
        envelope: Envelope,
        active: ActiveCall,
        call: str,
        target: Target,
        unrecorded: list[Record],
        images: Sequence[Image] = (),
        watch: Watch | None = None,
    ) -> None:
        """`unrecorded` takes what is to be recorded with the end of a call that is stopped."""
        self._run = run
        self._runtime = run.runtime
        self._envelope = envelope
        self._active = active
        self._call = call
        self._unrecorded = unrecorded
        self._images = images
        self._watch = watch
        self._attempt = 1
        self._excess = 1.0
        """With which the bound of the request in flight was counted."""
        self._after: CallFailed | None = None
        """What the money was spent on so far."""
        self.turn_to(target)

    def turn_to(self, target: Target) -> None:
        """Send what comes next to this model, at its price."""
        self._target = target
        self._model = target.model
        self._cap = target.cap
        self._price = self._runtime.price(target.model, tier=target.service_tier)

    @property
    def priced(self) -> bool:
        return self._price is not None

    def cost(self, answer: Completion) -> int:
        """Picodollars of an answer, by its usage and by how it was served."""
        if answer.usage is None or self._price is None:
            return 0
        price = self._price
        if answer.service_tier:
            tier = self._target.service_tier
            price = self._runtime.price_of_answer(self._model, tier=tier, reported=answer.service_tier) or price
        return price.cost(answer.usage)

    async def ask(self, conversation: bytes, *, attempt: int, after: CallFailed | None) -> Exchange:
        """Send the conversation until it is answered; `after`: what the attempt before came to.

        Raises:
            BudgetExceeded: the call's own budget does not afford it.
            ProviderError: the provider refused it, or the transport retries are used up.
        """
        if not self._runtime.provider_started:
            await self._runtime.ready_for_call(self._envelope)
        started_s = self._run.now()
        retries = 0
        self._attempt, self._after = attempt, after
        while True:
            outcome = await self._send_once(conversation)
            if isinstance(outcome, Exchange):
                duration_ms = round((self._run.now() - started_s) * 1000)
                return replace(outcome, duration_ms=duration_ms, transport_retries=retries)
            if outcome.final or not outcome.error.retryable or retries >= self._runtime.transport_retries:
                raise outcome.error
            await self._runtime.timed("again", self._pause(retries, outcome.retry_after_s))
            retries += 1

    async def _send_once(self, conversation: bytes) -> Exchange | _Failure:
        body = self._target.compiled.body(conversation, max_output_tokens=self._cap, streamed=self._streamed)
        slot = await self._runtime.limiter.slot(self._model, tokens=input_bound(self._model, body, self._images))
        with Sending(slot, abandon=self._abandon) as sending:
            held = await self._hold(body)
            if isinstance(held, Reservation):
                if held.cap != self._cap:
                    body = self._target.compiled.body(conversation, max_output_tokens=held.cap, streamed=self._streamed)
                await self._make_durable(held)
                self._refuse_on_hold(held)
                request = Request(path=self._runtime.provider.dialect.path, body=body, streamed=self._streamed)
                sending.in_flight = held, request
                answer = await self._runtime.timed("model", self._send(request, cap=held.cap))
                sending.in_flight = None
                # No checkpoint from here until the caller has journalled the settlement.
                return self._answered(held, answer, request_bytes=len(body))
        if isinstance(held, Reservation):
            assert sending.failure is not None, "the block ends with an answer, or raises, or failed"
            return self._lost(held, sending.failure)
        # Out of the slot: under drain it waits for others to end, and they may need one to go on.
        await self._refused(held)

    async def _hold(self, body: bytes) -> Reservation | Refused | AllowanceSpent:
        """The worst case of a request, or why it cannot be afforded."""
        try:
            reservation = await self._runtime.timed("budget", self._reserve(body))
            await self._stay_within_allowance(reservation)
        except (Refused, AllowanceSpent) as refusal:
            return refusal
        return reservation

    async def _reserve(self, body: bytes) -> Reservation:
        ledger, scope, name = self._runtime.ledger, self._envelope.scope, self._runtime.reservation_id()
        self._excess = excess(self._model)
        rough = input_bound(self._model, body, self._images)
        try:
            held = ledger.try_reserve(scope, self._demand(rough, min_cap=self._cap), reservation=name)
        except Refused:
            if any(each.sealed for each in scope.chain):
                raise  # whatever the exact count would be
            held = None
        if held is not None:
            return held
        # Bytes overstate tokens three- to fourfold; the exact count is dearer, and only now worth it.
        exact = exact_bound(self._model, body, self._images)
        demand = self._demand(min(rough, exact), min_cap=self._target.min_cap)
        return await ledger.reserve(scope, demand, reservation=name)

    def _refuse_on_hold(self, reservation: Reservation) -> None:
        """The last thing before it is sent, whatever it has waited for.

        The journal's thread has just made the reservation durable: to look any earlier, while that is at work, would
        let it go first, and cost the call a tenth of its CPU.
        """
        try:
            self._runtime.hold.refuse(self._call)
        except OnHold:
            self._release(reservation, "on hold")
            raise

    async def _stay_within_allowance(self, reservation: Reservation) -> None:
        """Count the call against what all sessions may spend; what it holds of its own budgets is given back if it may not.

        Raises:
            AllowanceSpent: there is no room for it.
        """
        allowance = self._runtime.allowance
        if allowance is None or reservation.picousd == 0:
            return
        try:
            await allowance.hold(reservation, run=self._envelope.outermost.label)
        except BaseException:
            self._runtime.ledger.release(reservation)
            raise

    def _ended(self, reservation: Reservation) -> None:
        if self._runtime.allowance is not None:
            self._runtime.allowance.end(reservation)

    async def _refused(self, refusal: Refused | AllowanceSpent) -> NoReturn:
        if isinstance(refusal, AllowanceSpent):
            # Not the session's: it may live longer than the day, and other runs may need less.
            owner = self._envelope.outermost
            own = not self._run.resumable
        else:
            owner = self._envelope.owner(refusal.scope)
            own = owner.scope.path == self._call
        if own:
            raise refusal.exceeded(remaining=[self._call]) from self._after
        owner.exhaust(refusal)
        await self._active.park(owner, after=self._after)

    def _demand(self, input_tokens: int, *, min_cap: int) -> Demand:
        price = self._price
        if price is None:
            if self._envelope.limits_money:
                raise UnknownPrice(
                    model=self._model,
                    provider=self._runtime.provider.name,
                    step=self._call,
                    service_tier=self._target.service_tier or "",
                )
            price = FREE
        return Demand(
            input_picousd=price.worst_case(input_tokens=input_tokens, output_tokens=0),
            picousd_per_output_token=price.output_rate(input_tokens=input_tokens),
            input_tokens=input_tokens,
            cap=self._cap,
            min_cap=min_cap,
        )

    async def _make_durable(self, reservation: Reservation) -> None:
        run = self._run
        reserved = Reserved(
            elapsed_ms=run.elapsed_ms,
            reservation=reservation.id,
            scope=reservation.scope.path,
            call=self._call,
            attempt=self._attempt,
            model=self._model,
            picousd=reservation.amount.picousd,
            tokens=reservation.amount.tokens,
        )
        try:
            await run.durable(run.append(reserved))
        except BaseException:
            self._release(reservation, "not sent")
            raise

    async def _send(self, request: Request, *, cap: int) -> Answer:
        runtime = self._runtime
        with trio.move_on_after(runtime.request_timeout_s) as timeout:
            if not self._streamed:
                return await runtime.provider.send(request)
            return await self._stream(request, cap=cap)
        assert timeout.cancelled_caught
        raise TransportFailure(
            reason=f"no answer in {runtime.request_timeout_s:g} s", sent=not request.departure.waiting
        )

    async def _stream(self, request: Request, *, cap: int) -> Answer:
        """Receive event by event, so that a provider that ignores the cap is cut off at it."""
        reader = self._runtime.provider.dialect.stream_reader()
        try:
            async with self._runtime.provider.stream(request) as events:
                async for event in events:
                    reader.feed(event)
                    if self._watch is not None:
                        self._watch(self._attempt, reader.arguments)
                    if reader.output_deltas > cap and not reader.finished:
                        raise TransportFailure(
                            reason=f"cut off: more than the {cap} output tokens asked for",
                            sent=True,
                            retryable=False,
                            fix="this provider ignores the output cap; use another, or raise max_output_tokens",
                        )
        except StatusError as error:
            return error.answer
        return Answer(status=200, headers={}, body=reader.body())

    @property
    def _streamed(self) -> bool:
        return self._watch is not None or self._runtime.provider.streams

    def _answered(self, reservation: Reservation, answer: Answer, *, request_bytes: int) -> Exchange | _Failure:
        if not 200 <= answer.status < 300:
            return self._refused_by_provider(reservation, answer)
        completion = self._runtime.provider.dialect.read(answer.body)
        if completion.status in ("unreadable", "failed"):
            self._leave_in_doubt(reservation, f"answer {completion.status}")
            return _Failure(
                error=self._error(completion.text or "the answer cannot be read", status=answer.status, retryable=True)
            )
        usage = completion.usage
        picousd, tokens = reservation.amount.picousd, reservation.amount.tokens
        if usage is not None:
            picousd, tokens = self.cost(completion), usage.total_tokens
        settlement = self._runtime.ledger.settle(reservation, picousd=picousd, tokens=tokens)
        self._ended(reservation)
        if settlement.overrun is not None and usage is not None:
            note_overrun(
                self._model,
                bound=reservation.input_tokens,
                actual=usage.input_tokens,
                excess_then=self._excess,
            )
        settled = Settled(
            elapsed_ms=self._run.elapsed_ms,
            reservation=reservation.id,
            picousd=picousd,
            tokens=tokens,
            usage=usage,
            estimated=usage is None,
        )
        reserved, actual = reservation.amount, Amount(picousd, tokens)
        return Exchange(
            completion=completion,
            body=answer.body,
            settled=settled,
            request_bytes=request_bytes,
            overrun=settlement.overrun is not None,
            overruns=[Overrun(scope=scope, actual=actual, reserved=reserved) for scope in settlement.closed],
        )

    def _refused_by_provider(self, reservation: Reservation, answer: Answer) -> _Failure:
        message = self._runtime.provider.dialect.error(answer.status, answer.headers, answer.body)
        if answer.status >= 500:
            self._leave_in_doubt(reservation, f"status {answer.status}")
        else:
            self._release(reservation, f"status {answer.status}")
        wait_s = retry_after_s(answer.headers)
        out_of_quota = b"insufficient_quota" in answer.body  # a 429 that no waiting will mend
        retryable = (answer.status >= 500 or answer.status in RETRYABLE_STATUSES) and not out_of_quota
        too_long = retryable and wait_s is not None and wait_s > LONGEST_WAIT_S
        if answer.status == 429 and not out_of_quota and not too_long:
            self._runtime.limiter.throttled(self._model, retry_after_s=wait_s)
        fix = (
            f"it asks to be left alone for {wait_s:,.0f} s: call again then, or name a model to fall back on"
            if too_long
            else ""
        )
        error = self._error(message, status=answer.status, retryable=retryable, fix=fix)
        return _Failure(error=error, retry_after_s=wait_s, final=too_long)

    def _lost(self, reservation: Reservation, failure: TransportFailure) -> _Failure:
        if failure.sent:
            self._leave_in_doubt(reservation, failure.reason)
        else:
            self._release(reservation, failure.reason)
        error = self._error(failure.reason, status=None, retryable=failure.retryable, fix=failure.fix)
        error.__cause__ = failure
        return _Failure(error=error)

    def _release(self, reservation: Reservation, reason: str) -> None:
        self._run.append(self._released(reservation, reason))

    def _leave_in_doubt(self, reservation: Reservation, reason: str) -> None:
        self._run.append(self._left_in_doubt(reservation, reason))

    def _abandon(self, reservation: Reservation, request: Request, error: BaseException) -> None:
        """Nobody waits for the answer any more; `error` says why."""
        stopped = was_stopped(error)
        reason = "stopped" if stopped else type(error).__name__
        if request.departure.waiting:
            record: Record = self._released(reservation, f"{reason} before it was sent")
        else:
            record = self._left_in_doubt(reservation, f"{reason} while in flight")
        if stopped:
            self._unrecorded.append(record)  # nothing comes between this and the end of the call
        else:
            self._run.append(record)

    def _released(self, reservation: Reservation, reason: str) -> Released:
        self._runtime.ledger.release(reservation)
        self._ended(reservation)
        return Released(elapsed_ms=self._run.elapsed_ms, reservation=reservation.id, reason=reason)

    def _left_in_doubt(self, reservation: Reservation, reason: str) -> LeftInDoubt:
        self._runtime.ledger.leave_in_doubt(reservation)
        self._ended(reservation)
        return LeftInDoubt(elapsed_ms=self._run.elapsed_ms, reservation=reservation.id, reason=reason)

    def _error(self, message: str, *, status: int | None, retryable: bool, fix: str = "") -> ProviderError:
        return ProviderError(
            provider=self._runtime.provider.name, message=message, status=status, retryable=retryable, fix=fix
        )

    async def _pause(self, retries: int, asked_s: float | None) -> None:
        await trio.sleep(self._backoff_s(retries, asked_s))

    def _backoff_s(self, retries: int, asked_s: float | None) -> float:
        if asked_s is not None:
            return asked_s
        longest = min(FIRST_BACKOFF_S * 2.0 ** min(retries, 16), LONGEST_BACKOFF_S)
        return longest * (0.5 + 0.5 * self._runtime.jitter())
