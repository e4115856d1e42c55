"""`Ledger`: the one owner of what every budget has reserved, spent and not yet accounted for.

Above it, the attempt loop reserves before it sends and settles when the answer came;
below it there is nothing: no I/O, no journal. It is synchronous and on the event
loop's thread, so each operation is atomic over all the scopes it charges; only
`reserve` may wait. Whoever calls it journals what was decided, in that order, and
the numbers here always equal `replay` of those records.

A request is charged to its scope and every scope around it. It waits if calls in
flight leave no room for it now but may once they settle, and is refused if they
cannot. A waiter holds nothing and stands in one line, that of the outermost scope
that holds it up, by order of arrival; nobody overtakes there. So whoever has waited
longest waits only for calls in flight, which end: no deadlock, no starvation.

Long, and one class: whoever doubts a number reads every line that can change it here.
What it is made of (scopes, reservations, the line of waiters) has files of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

import outcome
import trio

from stratum.actors.amount import Amount, Limits, Spendable
from stratum.actors.ledger_state import LedgerState, OpenReservation, replay
from stratum.actors.reservation import Demand, Refused, Reservation, Settlement
from stratum.actors.scope import Scope
from stratum.actors.waiting_room import Decided, Waiter, WaitingRoom
from stratum.contracts.records import Reconciled

__all__ = [
    "Amount",
    "Demand",
    "Ledger",
    "LedgerState",
    "Limits",
    "Refused",
    "Reservation",
    "Scope",
    "Settlement",
    "Spendable",
    "Waiter",
    "replay",
]

_AS_RESERVED = Settlement()


class Ledger:
    """The budgets of one session. Use it from one thread."""

    def __init__(self) -> None:
        self._open: dict[str, Reservation] = {}
        """Reservations in flight or in doubt, by id."""
        self._room = WaitingRoom()
        self._next_ticket = 0

    def open_scope(self, path: str, *, parent: Scope | None, label: str, limits: Limits) -> Scope:
        """Begin to count against `limits`, inside `parent`.

        `path` is "" for a run, and below it the parent's path, a slash and a step id. In a
        run that was restored, a scope takes up the limits and numbers it had before.

        Raises:
            ValueError: the path is not below the parent's, or the parent is closed.
        """
        if parent is None:
            return Scope(path=path, parent=None, label=label, limits=limits)
        if parent.closed:
            raise ValueError(f"{path!r}: its parent {parent.path!r} is closed; open it first")
        if path and parent.path and not path.startswith(f"{parent.path}/"):
            raise ValueError(f"{path!r} is not below its parent; pass a path that starts with {parent.path + '/'!r}")
        scope = Scope(path=path, parent=parent, label=label, limits=limits)
        parent.children += 1
        if parent.recorded is not None:
            self.restore(scope, parent.recorded)
        return scope

    def restore(self, scope: Scope, state: LedgerState) -> None:
        """Give the scope of a resumed run, just opened, what its journal says; those inside take theirs up in turn.

        What was in flight when the run stopped is in doubt. The limits are the recorded
        ones: they change by `raise_limits` alone. The session that resumes the run is
        not charged for what an earlier one spent.

        Raises:
            ValueError: something counts in the scope already.
        """
        if scope.counted != Amount() or scope.children:
            raise ValueError(f"{scope.path!r} counts already; restore it right after it was opened")
        scope.recorded = state
        was = state.scopes.get(scope.path)
        if was is None:
            return
        _charge(scope, was.settled)
        scope.settled_picousd, scope.settled_tokens = was.settled.picousd, was.settled.tokens
        for held in state.open_within(scope.path):
            self._take_over(held, scope, state)
        scope.set_limits(was.limits)
        if was.overdrawn is not None:
            scope.overdraw(was.overdrawn)

    def close_scope(self, scope: Scope) -> None:
        """Stop counting; what was spent stays counted in the scopes around it.

        Raises:
            ValueError: calls in flight, waiters or scopes inside are still open.
        """
        if scope.closed:
            raise ValueError(f"{scope.path!r} is closed already")
        if scope.children or scope in self._room.lines or scope.in_flight != Amount():
            raise ValueError(f"{scope.path!r} still has open scopes, calls or waiters in it; end those first")
        scope.closed = True
        scope.admits = False
        if scope.parent is not None:
            scope.parent.children -= 1

    async def reserve(self, scope: Scope, demand: Demand, *, reservation: str) -> Reservation:
        """Hold the worst case of one request in `scope` and every scope around it.

        Does not checkpoint where it fits at once. If cancelled, nothing is held; once
        it has returned, end it by `settle`, `release` or `leave_in_doubt`.
        `reservation` is an id, unique in this ledger.

        Raises:
            Refused: it cannot fit even after all calls in flight are over.
        """
        held = self.try_reserve(scope, demand, reservation=reservation)
        if held is not None:
            return held
        task = trio.lowlevel.current_task()

        def decided(decision: Reservation | Refused) -> None:
            if isinstance(decision, Refused):
                trio.lowlevel.reschedule(task, outcome.Error(decision))
            else:
                trio.lowlevel.reschedule(task, outcome.Value(decision))

        waiter = self.wait(scope, demand, reservation=reservation, decided=decided)

        def cancelled(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self.withdraw(waiter)
            return trio.lowlevel.Abort.SUCCEEDED

        admitted: Reservation = await trio.lowlevel.wait_task_rescheduled(cancelled)
        return admitted

    def try_reserve(self, scope: Scope, demand: Demand, *, reservation: str) -> Reservation | None:
        """The same without waiting: `None` where it would wait.

        Raises:
            Refused: it cannot fit even after all calls in flight are over.
        """
        if reservation in self._open:
            raise ValueError(f"reservation {reservation!r} exists already; pass an id unique in this ledger")
        if self.fits(scope, demand):
            return self._hold(reservation, scope, demand, cap=demand.cap)
        _refuse_impossible(scope, demand)
        cap, held_up_at = self._prospect(scope, demand, ticket=self._next_ticket)
        return self._hold(reservation, scope, demand, cap=cap) if held_up_at is None else None

    def fits(self, scope: Scope, demand: Demand) -> bool:
        """Whether all of the demand, its cap unshrunk, would be admitted at once."""
        picousd = demand.input_picousd + demand.cap * demand.picousd_per_output_token
        tokens = demand.input_tokens + demand.cap
        lines = self._room.lines
        for each in scope.chain:
            if (
                each.counted_picousd + picousd > each.limit_picousd
                or each.counted_tokens + tokens > each.limit_tokens
                or not each.admits
                or (lines and each in lines)
            ):
                return False
        return True

    def wait(self, scope: Scope, demand: Demand, *, reservation: str, decided: Decided) -> Waiter:
        """Stand in line, after `try_reserve` gave `None`: a record instead of a task.

        `decided` is called once, from within the operation that decides.
        """
        ticket = self._next_ticket
        _, at = self._prospect(scope, demand, ticket=ticket)
        if at is None:
            raise ValueError(f"{reservation!r} need not wait; call try_reserve first")
        self._next_ticket += 1
        waiter = Waiter(ticket=ticket, scope=scope, demand=demand, reservation=reservation, decided=decided)
        self._room.enter(waiter, at)
        return waiter

    def crowded(self, scope: Scope) -> bool:
        """Somebody waits for room in `scope`, around it or below."""
        lines = self._room.lines
        return bool(lines) and any(each in lines for each in scope.chain)

    async def turn(self, scope: Scope, *, reservation: str) -> None:
        """Stand in line for nothing: until whoever came before has been admitted or refused. Holds nothing.

        Raises:
            Refused: the scope, or one around it, admits nothing more.
        """
        self.release(await self.reserve(scope, Demand(), reservation=reservation))

    def withdraw(self, waiter: Waiter) -> None:
        """Stop waiting, undecided. Nothing was held."""
        if waiter.at is not None:
            _tell(self._admit([self._room.leave(waiter)]))

    def settle(self, reservation: Reservation, *, picousd: int, tokens: int) -> Settlement:
        """The answer came: book what it cost, all of it even where that is more than was reserved.

        Raises:
            ValueError: a negative cost, or a reservation that is not in flight.
        """
        if reservation.state != "in_flight":
            raise _not_in_flight(reservation)
        return self._book(reservation, picousd=picousd, tokens=tokens)

    def release(self, reservation: Reservation) -> None:
        """Nothing will be billed, and that is proven: give all of it back.

        Raises:
            ValueError: a reservation that is not in flight.
        """
        if reservation.state != "in_flight":
            raise _not_in_flight(reservation)
        self._book(reservation, picousd=0, tokens=0)

    def leave_in_doubt(self, reservation: Reservation) -> None:
        """The outcome is unknown: all of it stays counted until `reconcile`.

        Raises:
            ValueError: a reservation that is not in flight.
        """
        if reservation.state != "in_flight":
            raise _not_in_flight(reservation)
        reservation.state = "in_doubt"
        for scope in reservation.charged:
            scope.in_doubt_picousd += reservation.picousd
            scope.in_doubt_tokens += reservation.tokens
        self._changed(reservation.charged)

    def reconcile(self, reservation_id: str, *, picousd: int, tokens: int) -> Settlement:
        """A person found out what a reservation in doubt really cost: book that instead.

        Raises:
            ValueError: a negative cost, or no reservation of this id is in doubt.
        """
        reservation = self._open.get(reservation_id)
        if reservation is None or reservation.state != "in_doubt":
            raise ValueError(
                f"no reservation {reservation_id!r} is in doubt; the `reservations` view of the journal lists those that are"
            )
        settlement = self._book(reservation, picousd=picousd, tokens=tokens)
        if reservation.recorded is not None:
            reservation.recorded.fold(Reconciled(reservation=reservation_id, picousd=picousd, tokens=tokens))
        return settlement

    def raise_limits(self, scope: Scope, limits: Limits) -> None:
        """A person gave the scope new limits; an axis that is `None` stays as it is.

        Reopens a scope that an overrun closed, once they cover what counts against it;
        limits below that close it.
        """
        scope.set_limits(scope.limits.raised_to(limits))
        self._changed((scope,))

    def seal(self, scope: Scope, resource: Spendable = "usd") -> None:
        """Admit nothing more in this scope or below, for good; whoever waits there is refused. Calls in flight go on."""
        scope.sealed = resource
        scope.admits = False
        self._changed((scope,))

    def _hold(self, reservation: str, scope: Scope, demand: Demand, *, cap: int) -> Reservation:
        picousd = demand.input_picousd + cap * demand.picousd_per_output_token
        tokens = demand.input_tokens + cap
        for each in scope.chain:
            each.counted_picousd += picousd
            each.counted_tokens += tokens
        held = Reservation(id=reservation, scope=scope, charged=scope.chain, cap=cap, picousd=picousd, tokens=tokens)
        self._open[reservation] = held
        return held

    def _book(self, reservation: Reservation, *, picousd: int, tokens: int) -> Settlement:
        if picousd < 0 or tokens < 0:
            raise ValueError(f"{reservation!r} cannot have cost {picousd} picodollars and {tokens} tokens")
        beyond_picousd = picousd - reservation.picousd
        beyond_tokens = tokens - reservation.tokens
        doubted = reservation.state == "in_doubt"
        for scope in reservation.charged:
            scope.settled_picousd += picousd
            scope.settled_tokens += tokens
            scope.counted_picousd += beyond_picousd
            scope.counted_tokens += beyond_tokens
            if doubted:
                scope.in_doubt_picousd -= reservation.picousd
                scope.in_doubt_tokens -= reservation.tokens
        reservation.state = "closed"
        del self._open[reservation.id]
        settlement = _AS_RESERVED
        if beyond_picousd > 0 or beyond_tokens > 0:
            settlement = _overrun(reservation, Amount(max(beyond_picousd, 0), max(beyond_tokens, 0)))
        if self._room.lines:
            self._changed(reservation.charged)
        return settlement

    def _take_over(self, held: OpenReservation, scope: Scope, state: LedgerState) -> None:
        """Charge a reservation of an earlier session to `scope`, in doubt."""
        reservation = self._open.get(held.id)
        if reservation is None:
            amount = held.amount
            reservation = Reservation(
                id=held.id,
                scope=scope,
                charged=(),
                cap=0,
                picousd=amount.picousd,
                tokens=amount.tokens,
                state="in_doubt",
            )
            self._open[held.id] = reservation
        reservation.recorded = state
        reservation.scope = scope
        reservation.charged += (scope,)
        _charge(scope, held.amount)
        scope.in_doubt_picousd += held.amount.picousd
        scope.in_doubt_tokens += held.amount.tokens

    def _prospect(self, scope: Scope, demand: Demand, *, ticket: int) -> tuple[int, Scope | None]:
        """The cap to be had, at once or by waiting, and the outermost scope that it has to wait for.

        It waits where there is no room now, and behind whoever came before `ticket`.
        """
        cap = demand.cap
        if demand.min_cap < cap:
            cap = min([demand.cap_within(each.left) for each in scope.chain])
        amount = demand.at(cap)
        for each in scope.chain:
            first = self._room.first(each)
            if (first is not None and first.ticket < ticket) or not each.has_room(amount):
                return cap, each
        return cap, None

    def _changed(self, scopes: tuple[Scope, ...]) -> None:
        """Refuse whom this made impossible and admit whom it made room for, in order of arrival."""
        if not self._room.lines:
            return
        refused: list[tuple[Waiter, Reservation | Refused]] = []
        vacated = list(scopes)
        for scope in reversed(scopes):
            while (waiter := self._impossible(scope)) is not None:
                vacated.append(self._room.leave(waiter))
                refused.append((waiter, _refusal(scope, waiter.demand)))
        _tell(refused + self._admit(vacated))

    def _impossible(self, scope: Scope) -> Waiter | None:
        """Somebody in `scope` or below whom it can never admit."""
        need = self._room.greatest_need(scope)
        resource = None if need is None else scope.lacks(need)
        return None if resource is None else self._room.neediest(scope, resource)

    def _admit(self, scopes: Iterable[Scope]) -> list[tuple[Waiter, Reservation | Refused]]:
        """Let the lines of `scopes` move on; among their heads, whoever came first goes first."""
        admitted: list[tuple[Waiter, Reservation | Refused]] = []
        room, moving = self._room, set(scopes)
        while heads := [(first.ticket, scope, first) for scope in moving if (first := room.first(scope))]:
            _, scope, waiter = min(heads) if len(heads) > 1 else heads[0]
            cap, held_up_at = self._prospect(waiter.scope, waiter.demand, ticket=waiter.ticket)
            if held_up_at is scope:
                moving.remove(scope)
            elif held_up_at is not None:
                room.move_first(scope, held_up_at)
            else:
                room.leave(waiter)
                admitted.append((waiter, self._hold(waiter.reservation, waiter.scope, waiter.demand, cap=cap)))
        return admitted


def _tell(decisions: list[tuple[Waiter, Reservation | Refused]]) -> None:
    for waiter, decision in sorted(decisions, key=lambda each: each[0].ticket):
        waiter.decided(decision)


def _charge(scope: Scope, amount: Amount) -> None:
    scope.counted_picousd += amount.picousd
    scope.counted_tokens += amount.tokens


def _refuse_impossible(scope: Scope, demand: Demand) -> None:
    if scope.closed:
        raise ValueError(f"{scope.path!r} is closed; reserve in an open scope")
    for each in reversed(scope.chain):
        if each.lacks(demand.least):
            raise _refusal(each, demand)


def _refusal(scope: Scope, demand: Demand) -> Refused:
    resource = scope.lacks(demand.least)
    assert resource is not None
    return Refused(scope, resource, requested=demand.least.axis(resource))


def _not_in_flight(reservation: Reservation) -> ValueError:
    return ValueError(f"{reservation!r} is not in flight; one in doubt leaves by reconcile, a closed one is done")


def _overrun(reservation: Reservation, beyond: Amount) -> Settlement:
    """Close every scope that this took past its limit."""
    closed: list[Scope] = []
    for scope in reservation.charged:
        over = scope.limits.exceeded_by(scope.counted)
        if over is not None:
            scope.overdraw(over)
            closed.append(scope)
    return Settlement(overrun=beyond, closed=closed)
