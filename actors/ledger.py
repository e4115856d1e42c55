"""`Ledger`: the one owner of what every budget has reserved, spent and not yet accounted for.

Above it, the attempt loop reserves before it sends and settles when the answer came;
below it there is nothing: no I/O, no journal. All of it is synchronous and on the
event loop's thread, so each operation is atomic over all the scopes it charges; only
`reserve` may wait. Whoever calls journals what was decided, in the order it was
decided, and the numbers here always equal `replay` of those records.

A request is charged to its scope and every scope around it. It waits if calls in
flight leave no room for it now but may once they settle, and is refused if they
cannot. A waiter stands in one line, that of the outermost scope that holds it up,
by order of arrival; nobody overtakes there, and it holds nothing meanwhile. So the
longest waiting one waits only for calls in flight, which end: no deadlock, no starvation.
"""

from __future__ import annotations

from collections.abc import Iterable

import outcome
import trio

from stratum.actors.ledger_state import LedgerState, OpenReservation, replay
from stratum.actors.reservation import Demand, Refused, Reservation, Settlement
from stratum.actors.scope import Amount, Limits, Scope, Spendable
from stratum.actors.waiting_line import Decided, Waiter, WaitingLines
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
        self._waiting: dict[Scope, WaitingLines] = {}
        """Only scopes in which, or below which, somebody waits."""
        self._next_ticket = 0

    def open_scope(self, path: str, *, parent: Scope | None, label: str, limits: Limits) -> Scope:
        """Begin to count against `limits`, inside `parent`.

        `path` is "" for a run, and below it the parent's path, a slash and a step id.

        Raises:
            ValueError: the path is not below the parent's, or the parent is closed.
        """
        if parent is not None:
            if parent.closed:
                raise ValueError(f"{path!r}: its parent {parent.path!r} is closed; open it first")
            if path and parent.path and not path.startswith(f"{parent.path}/"):
                raise ValueError(
                    f"{path!r} is not below its parent; pass a path that starts with {parent.path + '/'!r}"
                )
            parent.children += 1
        return Scope(path, parent=parent, label=label, limits=limits)

    def restore(self, scope: Scope, state: LedgerState) -> None:
        """Give a scope of a resumed run the numbers and limits it had; call it on each, the run first.

        What was in flight when the run stopped is in doubt. The session that resumes the
        run is not charged for what an earlier one spent.
        """
        if scope.counted_picousd or scope.counted_tokens:
            raise ValueError(f"{scope.path!r} counts already; restore it right after it was opened")
        was = state.scopes.get(scope.path)
        if was is None:
            return
        scope.settled_picousd += was.settled.picousd
        scope.settled_tokens += was.settled.tokens
        scope.counted_picousd += was.settled.picousd
        scope.counted_tokens += was.settled.tokens
        for held in state.open_within(scope.path):
            self._take_over(held, scope, state)
        scope.set_limits(was.limits)
        if was.overdrawn is not None:
            scope.overdrawn, scope.admits = was.overdrawn, False

    def close_scope(self, scope: Scope) -> None:
        """Stop counting; what was spent stays counted in the scopes around it.

        Raises:
            ValueError: calls in flight, waiters or scopes inside are still open.
        """
        if scope.closed:
            raise ValueError(f"{scope.path!r} is closed already")
        if scope.children or scope in self._waiting or scope.in_flight != Amount():
            raise ValueError(f"{scope.path!r} still has open scopes, calls or waiters in it; end those first")
        scope.closed = True
        scope.admits = False
        if scope.parent is not None:
            scope.parent.children -= 1

    async def reserve(self, scope: Scope, demand: Demand, *, reservation: str) -> Reservation:
        """Hold the worst case of one request in `scope` and every scope around it.

        Does not checkpoint where it fits at once. If cancelled, nothing is held; once
        this has returned, end it by `settle`, `release` or `leave_in_doubt`.
        `reservation` is unique in this ledger.

        Raises:
            Refused: it cannot fit even after all calls in flight are over.
        """
        held = self.try_reserve(scope, demand, reservation=reservation)
        if held is not None:
            return held
        task = trio.lowlevel.current_task()

        def wake(decision: Reservation | Refused) -> None:
            refused = isinstance(decision, Refused)
            trio.lowlevel.reschedule(task, outcome.Error(decision) if refused else outcome.Value(decision))

        waiter = self.wait(scope, demand, reservation=reservation, decided=wake)

        def withdraw(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self.withdraw(waiter)
            return trio.lowlevel.Abort.SUCCEEDED

        decision: Reservation = await trio.lowlevel.wait_task_rescheduled(withdraw)
        return decision

    def try_reserve(self, scope: Scope, demand: Demand, *, reservation: str) -> Reservation | None:
        """The same without waiting: `None` where it would wait.

        Raises:
            Refused: it cannot fit even after all calls in flight are over.
        """
        cap = demand.cap
        picousd = demand.input_picousd + cap * demand.picousd_per_output_token
        tokens = demand.input_tokens + cap
        for each in scope.chain:
            if (
                each.counted_picousd + picousd > each.limit_picousd
                or each.counted_tokens + tokens > each.limit_tokens
                or not each.admits
                or each in self._waiting
            ):
                break
        else:
            return self._hold(reservation, scope, cap=cap, picousd=picousd, tokens=tokens)

        _refuse_impossible(scope, demand)
        cap = _target_cap(scope, demand)
        if self._held_up_at(scope, demand, cap=cap, ticket=self._next_ticket) is not None:
            return None
        return self._hold(reservation, scope, cap=cap, picousd=demand.picousd(cap), tokens=demand.tokens(cap))

    def fits(self, scope: Scope, demand: Demand) -> bool:
        """Whether all of the demand, its cap unshrunk, would be admitted at once."""
        picousd, tokens = demand.picousd(demand.cap), demand.tokens(demand.cap)
        return all(each.admits and each not in self._waiting and each.has_room(picousd, tokens) for each in scope.chain)

    def wait(self, scope: Scope, demand: Demand, *, reservation: str, decided: Decided) -> Waiter:
        """Stand in line, after `try_reserve` gave `None`: a record instead of a task.

        `decided` is called once, from within the operation that decides.
        """
        waiter = Waiter(self._next_ticket, scope, demand=demand, reservation=reservation, decided=decided)
        at = self._held_up_at(scope, demand, cap=_target_cap(scope, demand), ticket=waiter.ticket)
        if at is None:
            raise ValueError(f"{reservation!r} need not wait; call try_reserve first")
        self._next_ticket += 1
        waiter.at = at
        for each in scope.chain:
            lines = self._waiting.get(each)
            if lines is None:
                lines = self._waiting[each] = WaitingLines()
            lines.by_picousd.join(-demand.picousd(demand.min_cap), waiter)
            lines.by_tokens.join(-demand.tokens(demand.min_cap), waiter)
        self._waiting[at].arrivals.join(waiter.ticket, waiter)
        return waiter

    def withdraw(self, waiter: Waiter) -> None:
        """Stop waiting, undecided. Nothing was held."""
        if waiter.at is not None:
            _deliver(self._admit([self._stop_waiting(waiter)]))

    def settle(self, reservation: Reservation, *, picousd: int, tokens: int) -> Settlement:
        """The answer came: book what it cost, all of it even where that is more than was reserved.

        Raises:
            ValueError: a negative cost, or a reservation that is not in flight.
        """
        if reservation.state != "in_flight":
            raise ValueError(f"{reservation!r} is not in flight; one in doubt is settled by reconcile")
        return self._book(reservation, picousd=picousd, tokens=tokens)

    def release(self, reservation: Reservation) -> None:
        """Nothing will be billed, and that is proven: give all of it back."""
        if reservation.state != "in_flight":
            raise ValueError(f"{reservation!r} is not in flight; one in doubt is settled by reconcile")
        self._book(reservation, picousd=0, tokens=0)

    def leave_in_doubt(self, reservation: Reservation) -> None:
        """The outcome is unknown: all of it stays counted until `reconcile`."""
        if reservation.state != "in_flight":
            raise ValueError(f"{reservation!r} is not in flight; leave it as it is")
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
            raise ValueError(f"no reservation {reservation_id!r} is in doubt; nothing to reconcile")
        return self._book(reservation, picousd=picousd, tokens=tokens)

    def raise_limits(self, scope: Scope, limits: Limits) -> None:
        """A person gave the scope new limits, in place of all it had.

        Reopens a scope that an overrun closed, once they cover what counts against it;
        limits below that close it.
        """
        scope.set_limits(limits)
        self._changed((scope,))

    def seal(self, scope: Scope, resource: Spendable = "usd") -> None:
        """Admit nothing more in this scope or below, for good; who waits there is refused. Calls in flight go on."""
        scope.sealed = resource
        scope.admits = False
        self._changed((scope,))

    def _hold(self, reservation: str, scope: Scope, *, cap: int, picousd: int, tokens: int) -> Reservation:
        if reservation in self._open:
            raise ValueError(f"reservation {reservation!r} exists already; pass an id unique in this ledger")
        for each in scope.chain:
            each.counted_picousd += picousd
            each.counted_tokens += tokens
        held = Reservation(reservation, scope, charged=scope.chain, cap=cap, picousd=picousd, tokens=tokens)
        self._open[reservation] = held
        return held

    def _book(self, reservation: Reservation, *, picousd: int, tokens: int) -> Settlement:
        if picousd < 0 or tokens < 0:
            raise ValueError(f"{reservation!r} cannot have cost {picousd} picodollars and {tokens} tokens")
        doubted = reservation.state == "in_doubt"
        reservation.state = "closed"
        del self._open[reservation.id]
        if reservation.recorded is not None:
            reservation.recorded.fold(Reconciled(reservation=reservation.id, picousd=picousd, tokens=tokens))
        for scope in reservation.charged:
            scope.settled_picousd += picousd
            scope.settled_tokens += tokens
            scope.counted_picousd += picousd - reservation.picousd
            scope.counted_tokens += tokens - reservation.tokens
            if doubted:
                scope.in_doubt_picousd -= reservation.picousd
                scope.in_doubt_tokens -= reservation.tokens
        settlement = _AS_RESERVED
        if picousd > reservation.picousd or tokens > reservation.tokens:
            settlement = _overrun(reservation, picousd=picousd, tokens=tokens)
        if self._waiting:
            self._changed(reservation.charged)
        return settlement

    def _take_over(self, held: OpenReservation, scope: Scope, state: LedgerState) -> None:
        reservation = self._open.get(held.id)
        if reservation is None:
            reservation = Reservation(
                held.id, scope, charged=(), cap=0, picousd=held.amount.picousd, tokens=held.amount.tokens
            )
            reservation.state = "in_doubt"
            self._open[held.id] = reservation
        reservation.recorded = state
        reservation.scope = scope
        reservation.charged += (scope,)
        scope.counted_picousd += reservation.picousd
        scope.counted_tokens += reservation.tokens
        scope.in_doubt_picousd += reservation.picousd
        scope.in_doubt_tokens += reservation.tokens

    def _held_up_at(self, scope: Scope, demand: Demand, *, cap: int, ticket: int) -> Scope | None:
        """The outermost scope that has no room now, or where somebody who came before `ticket` waits."""
        picousd, tokens = demand.picousd(cap), demand.tokens(cap)
        for each in scope.chain:
            lines = self._waiting.get(each)
            queued = lines is not None and lines.arrivals and lines.arrivals.head.ticket < ticket
            if queued or not each.has_room(picousd, tokens):
                return each
        return None

    def _changed(self, scopes: tuple[Scope, ...]) -> None:
        """Refuse whom this made impossible and admit whom it made room for, in order of arrival."""
        if not self._waiting:
            return
        refused: list[tuple[Waiter, Reservation | Refused]] = []
        vacated = list(scopes)
        for scope in reversed(scopes):
            while (waiter := self._impossible(scope)) is not None:
                vacated.append(self._stop_waiting(waiter))
                refused.append((waiter, _refusal(scope, waiter.demand)))
        _deliver(refused + self._admit(vacated))

    def _impossible(self, scope: Scope) -> Waiter | None:
        """Somebody in `scope` or below whom it can never admit."""
        lines = self._waiting.get(scope)
        if lines is None:
            return None
        neediest = (lines.by_picousd.head, lines.by_tokens.head)
        return next((waiter for waiter in neediest if _lacks(scope, waiter.demand)), None)

    def _admit(self, scopes: Iterable[Scope]) -> list[tuple[Waiter, Reservation | Refused]]:
        """Let the lines of `scopes` move on, whoever came first among their heads first."""
        admitted: list[tuple[Waiter, Reservation | Refused]] = []
        moving = {scope: self._waiting[scope].arrivals for scope in scopes if scope in self._waiting}
        while moving := {scope: line for scope, line in moving.items() if line}:
            scope, line = min(moving.items(), key=lambda item: item[1].head.ticket)
            waiter = line.head
            cap = _target_cap(waiter.scope, waiter.demand)
            at = self._held_up_at(waiter.scope, waiter.demand, cap=cap, ticket=waiter.ticket)
            if at is scope:
                del moving[scope]
            elif at is not None:
                waiter.at = at
                self._waiting[at].arrivals.join(waiter.ticket, line.pass_on())
            else:
                self._stop_waiting(waiter)
                admitted.append((waiter, self._hold_for(waiter, cap)))
        return admitted

    def _hold_for(self, waiter: Waiter, cap: int) -> Reservation:
        demand = waiter.demand
        return self._hold(
            waiter.reservation, waiter.scope, cap=cap, picousd=demand.picousd(cap), tokens=demand.tokens(cap)
        )

    def _stop_waiting(self, waiter: Waiter) -> Scope:
        """Take it out of every line; the scope it stood at."""
        at = waiter.at
        assert at is not None
        waiter.at = None
        self._waiting[at].arrivals.leave()
        for each in waiter.scope.chain:
            lines = self._waiting[each]
            lines.by_picousd.leave()
            lines.by_tokens.leave()
            if not lines.by_picousd:
                del self._waiting[each]
        return at


def _deliver(decisions: list[tuple[Waiter, Reservation | Refused]]) -> None:
    for waiter, decision in sorted(decisions, key=lambda each: each[0].ticket):
        waiter.decided(decision)


def _target_cap(scope: Scope, demand: Demand) -> int:
    """The largest cap that could fit once every call in flight is over: what is worth waiting for."""
    return min(demand.cap_within(each.left) for each in scope.chain)


def _lacks(scope: Scope, demand: Demand) -> Spendable | None:
    return scope.lacks(demand.picousd(demand.min_cap), demand.tokens(demand.min_cap))


def _refuse_impossible(scope: Scope, demand: Demand) -> None:
    if scope.closed:
        raise ValueError(f"{scope.path!r} is closed; reserve in an open scope")
    for each in reversed(scope.chain):
        if _lacks(each, demand):
            raise _refusal(each, demand)


def _refusal(scope: Scope, demand: Demand) -> Refused:
    resource = _lacks(scope, demand)
    assert resource is not None
    least = demand.picousd(demand.min_cap) if resource == "usd" else demand.tokens(demand.min_cap)
    return Refused(scope, resource, requested=least)


def _overrun(reservation: Reservation, *, picousd: int, tokens: int) -> Settlement:
    """Close every scope that this took past its limit."""
    closed = [scope for scope in reservation.charged if scope.over() is not None]
    for scope in closed:
        scope.overdrawn, scope.admits = scope.over(), False
    beyond = Amount(max(picousd - reservation.picousd, 0), max(tokens - reservation.tokens, 0))
    return Settlement(overrun=beyond, closed=closed)
