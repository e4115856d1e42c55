"""`Envelope`: one budget at work, a ledger scope and a cancel scope with the same owner.

Below: the ledger says whether a call fits. Above: flows and calls open envelopes around what they run. This module
decides what a refusal does: the owner's call raises, anything inside an exhausted envelope is cancelled.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import trio

from stratum.actors.ledger import Amount, Limits, Refused, Scope
from stratum.contracts.budget import Budget, OnExhaustion
from stratum.contracts.errors import BudgetExceeded, BudgetOverrun, Completed, RunError
from stratum.contracts.plans.errors import RunCancelled
from stratum.contracts.records import ClockStarted, ClockStopped, Exhausted
from stratum.engine.shared_allowance import AllowanceSpent

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
        resource, scope = self.resource, self.scope
        return BudgetOverrun(
            resource=resource,
            limit=scope.limits.axis(resource) or 0,
            settled=scope.settled.axis(resource),
            in_flight=scope.in_flight.axis(resource),
            in_doubt=scope.in_doubt.axis(resource),
            actual=self.actual.axis(resource),
            reserved=self.reserved.axis(resource),
            step=self.scope.label,
            completed=completed,
            remaining=remaining,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """A person stopped the run."""

    reason: str


Cause = Refused | Overrun | AllowanceSpent
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
        self.cause: Cause | Stopped | None = None
        self.stopped = trio.Event()
        """Exhausted, and what runs in here has been cancelled."""
        self.active_calls = 0
        """Calls between their reservation and their result; `drain` waits for them."""
        self.open_inside = 0
        """Envelopes directly inside that are open."""
        self._guests: dict[trio.CancelScope, trio.Event] = {}
        """What stops each of them, and what tells that it has left."""
        self.owned_by = trio.lowlevel.current_task(), len(trio.lowlevel.current_task().child_nurseries)
        """The task that opened it, and how many nurseries around it that task had open."""
        self._left_s = math.inf
        self.stands = False
        """Everything in here waits for a person, and its clock with it."""
        self._closing = False
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
    def outermost(self) -> Envelope:
        """The envelope of the run that this one is in, or this one."""
        envelope = self
        while envelope.scope.path:
            assert envelope.parent is not None, "a run's own scope has the empty path"
            envelope = envelope.parent
        return envelope

    @property
    def limits_money(self) -> bool:
        """Whether this envelope, or one around it, has a limit in USD."""
        return any(envelope.scope.limits.picousd is not None for envelope in self.outwards())

    def exhaust(self, cause: Cause) -> None:
        """Stop what runs in here, at once or when the calls in flight are done; the owner raises."""
        if self.cause is not None:
            return
        self.cause = cause
        self.run.runtime.ledger.seal(self.scope, cause.resource)
        self.run.append(Exhausted(elapsed_ms=self.run.elapsed_ms, scope=self.scope.path, resource=cause.resource))
        if self._on_exhaustion == "cancel" or not self.active_calls:
            self._cancel()

    def stop(self, reason: str) -> None:
        """Stop what runs in here at once, because somebody says so; the owner raises `RunCancelled`."""
        if self.cause is None:
            self.cause = Stopped(reason=reason)
            self.run.runtime.ledger.seal(self.scope)
        self._cancel()

    async def turn(self) -> None:
        """Wait, before a branch begins in here, until whoever stands in line for its budgets has been served.

        Raises:
            BudgetExceeded: one is exhausted, and its cancellation does not reach the caller.
        """
        ledger = self.run.runtime.ledger
        for envelope in self.outwards():
            if envelope.cause is not None:
                await envelope.stopped.wait()
                raise envelope.exceeded()
        if ledger.crowded(self.scope):
            with suppress(Refused):  # whoever was refused has exhausted its owner
                await ledger.turn(self.scope, reservation=self.run.runtime.reservation_id())
            await trio.lowlevel.checkpoint()

    @contextmanager
    def guest(self) -> Generator[None]:
        """Around work in a task of the caller's, which is stopped with this envelope wherever its nursery is.

        Raises:
            BudgetExceeded: the envelope is exhausted, and the task is outside of what it cancels by itself.
            RunError: it was closed in the meantime.
        """
        if self.exhausted or self._closing:
            raise self._over()
        left = trio.Event()
        with trio.CancelScope(deadline=self.cancel_scope.deadline) as scope:
            self._guests[scope] = left
            try:
                yield
            finally:
                del self._guests[scope]
                left.set()
        if scope.cancelled_caught:
            raise self._over()

    async def close_to_guests(self) -> None:
        """Stop the guests that are still there, and wait until they have left."""
        self._closing = True
        self._cancel_guests(f"{self.label} is closing")
        with trio.CancelScope(shield=True):
            for left in list(self._guests.values()):
                await left.wait()

    @property
    def has_guests(self) -> bool:
        return bool(self._guests)

    def stop_clock(self) -> None:
        """No time passes from here on."""
        self.stands = True
        self._left_s = self.cancel_scope.deadline - trio.current_time()
        self.cancel_scope.deadline = math.inf
        self.run.append(ClockStopped(elapsed_ms=self.run.elapsed_ms, scope=self.scope.path))

    def start_clock(self) -> None:
        """Time passes again, if it did not."""
        if self.stands:
            self.stands = False
            self.cancel_scope.deadline = trio.current_time() + self._left_s
            self.run.append(ClockStarted(elapsed_ms=self.run.elapsed_ms, scope=self.scope.path))

    @property
    def exhausted(self) -> bool:
        """Its money, its tokens or its time ran out."""
        return self.cause is not None or self.cancel_scope.cancel_called

    @property
    def occupied(self) -> bool:
        """Something runs in here."""
        return self.active_calls > 0 or self.open_inside > 0

    def exceeded(self) -> BudgetExceeded | RunCancelled:
        """What the owner raises, with the numbers as they stand."""
        if isinstance(self.cause, Stopped):
            return RunCancelled(run=self.run.id, problem=self.cause.reason)
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

    def count_active(self, change: int) -> None:
        """For `ActiveCall`: begun and waited for, or neither."""
        envelope: Envelope | None = self
        while envelope is not None:
            envelope.active_calls += change
            if envelope.cause is not None and not envelope.active_calls:
                envelope._cancel()
            envelope = envelope.parent

    def outwards(self) -> Iterator[Envelope]:
        """This one and those around it, innermost first."""
        envelope: Envelope | None = self
        while envelope is not None:
            yield envelope
            envelope = envelope.parent

    def _over(self) -> BudgetExceeded | RunError:
        """What a guest that cannot stay is told."""
        if self.exhausted:
            return self.exceeded()
        return RunError(
            run=self.run.id,
            problem=f"its {self.label} was closed while this was running",
            fix="close the runtime after the tasks that use it",
        )

    def _cancel(self) -> None:
        reason = self.cause.reason if isinstance(self.cause, Stopped) else f"the budget of {self.label} is exhausted"
        self.cancel_scope.cancel(reason=reason)
        self._cancel_guests(reason)
        # After cancelling: of those who wait for this, only whom that did not reach go on.
        self.stopped.set()

    def _cancel_guests(self, reason: str) -> None:
        for scope in self._guests:
            scope.cancel(reason=reason)


@contextmanager
def open_envelope(
    run: Run,
    *,
    label: str,
    path: str,
    parent: Envelope | None,
    budget: Budget | None,
) -> Generator[Envelope]:
    """Count `budget`, as a person has raised it since, from here to the end of the block, inside `parent`.

    Raises:
        BudgetExceeded: on leaving, when this budget ran out; an error raised on the way out is its cause.
        RunError: on leaving, when calls made in the block go on in tasks outside of it.
    """
    budget = run.history.budget(budget, path) or UNLIMITED
    around = None if parent is None else parent.scope
    scope = run.open_scope(path, parent=around, label=label, limits=Limits.of(budget), budget=budget)
    envelope = Envelope(
        run=run,
        label=label,
        scope=scope,
        parent=parent,
        seconds=budget.seconds,
        used_s=run.used_before_s(path) if math.isfinite(budget.seconds) else 0,
        on_exhaustion=budget.on_exhaustion,
    )
    if parent is not None:
        parent.open_inside += 1
    try:
        with envelope.cancel_scope:
            yield envelope
    except Exception as error:
        # Raised again, whatever it is; what a cancelled block raises on its way out must not hide why it was.
        if not envelope.exhausted:
            raise
        raise envelope.exceeded() from error
    else:
        if envelope.cancel_scope.cancelled_caught or envelope.cause is not None:
            raise envelope.exceeded()
    finally:
        if parent is not None:
            parent.open_inside -= 1
        # One that tasks outside of it still use stays open: their calls have to be booked somewhere.
        if not envelope.occupied and not scope.children:
            run.close_scope(scope)
    if envelope.occupied:
        raise RunError(
            run=run.id,
            problem=f"{label} ended while calls made in it go on in tasks outside of it",
            fix="open the nursery of those tasks inside the flow, or make their calls with Runtime.run",
        )
