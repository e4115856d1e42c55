"""`Envelope`: one budget at work, a ledger scope and a cancel scope with the same owner.

Below: the ledger says whether a call fits. Above: flows and calls open envelopes around what they run. This module
decides what a refusal does: the owner's call raises, anything inside an exhausted envelope is cancelled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

import trio

from stratum.actors.ledger import Amount, Limits, Refused, Scope
from stratum.contracts.budget import Budget, OnExhaustion
from stratum.contracts.errors import BudgetExceeded, BudgetOverrun, Completed
from stratum.contracts.records import Exhausted

if TYPE_CHECKING:
    from stratum.engine.run import Run

UNLIMITED = Budget()


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrun:
    """A provider billed more than the worst case it was sent, and that broke a limit."""

    scope: Scope
    actual: Amount
    reserved: Amount

    @property
    def resource(self) -> Literal["usd", "tokens"]:
        limits, used = self.scope.limits, self.scope.settled
        return "tokens" if limits.tokens is not None and used.tokens > limits.tokens else "usd"

    def exceeded(self, *, completed: Sequence[Completed], remaining: Sequence[str]) -> BudgetOverrun:
        """The error for the owner of the scope."""

        def of(amount: Amount) -> int:
            return amount.picousd if self.resource == "usd" else amount.tokens

        limits = self.scope.limits
        return BudgetOverrun(
            resource=self.resource,
            limit=(limits.picousd if self.resource == "usd" else limits.tokens) or 0,
            settled=of(self.scope.settled),
            in_flight=of(self.scope.in_flight),
            in_doubt=of(self.scope.in_doubt),
            actual=of(self.actual),
            reserved=of(self.reserved),
            step=self.scope.label,
            completed=completed,
            remaining=remaining,
        )


Cause = Refused | Overrun
"""Why an envelope is exhausted, besides its deadline."""


class Envelope:
    """One budget at work. Open one with `open_envelope`."""

    def __init__(
        self,
        *,
        run: Run,
        label: str,
        scope: Scope,
        parent: Envelope | None,
        seconds: float,
        used_s: float,
        on_exhaustion: OnExhaustion,
    ) -> None:
        self.run = run
        self.label = label
        self.scope = scope
        self.parent = parent
        self.cancel_scope = trio.CancelScope(deadline=trio.current_time() + seconds - used_s)
        self.cause: Cause | None = None
        self.active_calls = 0
        """Calls between their reservation and their result; `drain` waits for them."""
        self._on_exhaustion = on_exhaustion
        self._limit_ms = seconds * 1000

    def owner(self, scope: Scope) -> Envelope:
        """The envelope around this one, or this one, that owns `scope`."""
        envelope = self
        while envelope.scope is not scope:
            assert envelope.parent is not None, f"no envelope around {self.label} owns scope {scope.path!r}"
            envelope = envelope.parent
        return envelope

    @property
    def limits_money(self) -> bool:
        """Whether this envelope, or one around it, has a limit in USD."""
        return any(envelope.scope.limits.picousd is not None for envelope in self._outwards())

    def exhaust(self, cause: Cause) -> None:
        """Stop what runs in here, at once or when the calls in flight are done; the owner raises."""
        if self.cause is not None:
            return
        self.cause = cause
        self.run.runtime.ledger.seal(self.scope, cause.resource)
        self.run.append(Exhausted(elapsed_ms=self.run.elapsed_ms, scope=self.scope.path, resource=cause.resource))
        if self._on_exhaustion == "cancel" or not self.active_calls:
            self._cancel()

    @contextmanager
    def active_call(self) -> Iterator[None]:
        """Around one call from its first reservation to its result, in every envelope it draws from."""
        self._count_active(+1)
        try:
            yield
        finally:
            self._count_active(-1)

    async def park(self) -> NoReturn:
        """Wait to be cancelled: an envelope around this call is exhausted, and `drain` need not wait for it."""
        self._count_active(-1)
        try:
            await trio.sleep_forever()
        finally:
            self._count_active(+1)

    def exceeded(self) -> BudgetExceeded:
        """What the owner raises, with the numbers as they stand."""
        path = self.scope.path
        completed, remaining = self.run.completed_in(path), self.run.unfinished_in(path)
        if self.cause is not None:
            return self.cause.exceeded(completed=completed, remaining=remaining)
        overtime_s = trio.current_time() - self.cancel_scope.deadline
        return BudgetExceeded(
            resource="ms",
            limit=round(self._limit_ms),
            settled=round(self._limit_ms + overtime_s * 1000),
            step=self.label,
            completed=completed,
            remaining=remaining,
        )

    def _count_active(self, change: int) -> None:
        for envelope in self._outwards():
            envelope.active_calls += change
            if envelope.cause is not None and not envelope.active_calls:
                envelope._cancel()

    def _outwards(self) -> Iterator[Envelope]:
        envelope: Envelope | None = self
        while envelope is not None:
            yield envelope
            envelope = envelope.parent

    def _cancel(self) -> None:
        self.cancel_scope.cancel(reason=f"the budget of {self.label} is exhausted")


@contextmanager
def open_envelope(
    run: Run,
    *,
    label: str,
    path: str,
    parent: Envelope | None,
    parent_scope: Scope | None,
    budget: Budget | None,
) -> Iterator[Envelope]:
    """Count `budget` from here to the end of the block, inside `parent`.

    Raises:
        BudgetExceeded: on leaving, when the block was cancelled because this budget ran out.
    """
    budget = budget or UNLIMITED
    limits = Limits(picousd=budget.picousd, tokens=budget.tokens)
    scope = run.open_scope(path, parent=parent_scope, label=label, limits=limits, budget=budget)
    envelope = Envelope(
        run=run,
        label=label,
        scope=scope,
        parent=parent,
        seconds=budget.seconds,
        used_s=run.used_before_s(path) if math.isfinite(budget.seconds) else 0,
        on_exhaustion=budget.on_exhaustion,
    )
    try:
        with envelope.cancel_scope:
            yield envelope
        if envelope.cancel_scope.cancelled_caught or envelope.cause is not None:
            raise envelope.exceeded()
    finally:
        run.close_scope(scope)
