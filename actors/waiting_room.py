"""`WaitingRoom`: who waits for room in which budget, in which order."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

import msgspec

from stratum.actors.amount import Amount, Spendable
from stratum.actors.reservation import Demand, Refused, Reservation
from stratum.actors.scope import Scope

Decided = Callable[[Reservation | Refused], None]


class Waiter(msgspec.Struct, eq=False, kw_only=True):
    """A request that holds nothing yet. A record, not a task: 100,000 of them are cheap."""

    ticket: int
    """Order of arrival in the whole ledger."""
    scope: Scope
    demand: Demand
    reservation: str
    decided: Decided
    """Called once, when it is admitted or refused; not when it is withdrawn."""
    at: Scope | None = None
    """The scope in whose line it stands: the outermost that holds it up. `None`: it does not wait any more."""


class _Line(list[tuple[int, int, Waiter]]):
    """Waiters in one order, as a heap of (key, ticket, waiter): joining and leaving are O(log n), amortised.

    Someone who leaves from the middle stays as a dead entry until it comes to the
    front, or until the dead outnumber the living. The head is always alive.
    """

    __slots__ = ("_dead",)

    def __init__(self) -> None:
        super().__init__()
        self._dead = 0

    @property
    def head(self) -> Waiter:
        return self[0][2]

    def join(self, key: int, waiter: Waiter) -> None:
        heappush(self, (key, waiter.ticket, waiter))

    def pop_head(self) -> None:
        """The head goes to stand elsewhere."""
        heappop(self)
        self._bury()

    def leave(self) -> None:
        """Somebody in this line has stopped waiting."""
        self._dead += 1
        if self._dead * 2 > len(self):
            self[:] = [entry for entry in self if entry[2].at is not None]
            heapify(self)
            self._dead = 0
        self._bury()

    def _bury(self) -> None:
        while self and self[0][2].at is None:
            heappop(self)
            self._dead -= 1


class _Lines:
    """The waiters of one scope."""

    __slots__ = ("arrivals", "by_picousd", "by_tokens")

    def __init__(self) -> None:
        self.arrivals = _Line()
        """Those whom this scope itself holds up, first come first."""
        self.by_picousd = _Line()
        """All in this scope and below, whoever needs most money first: the first to become impossible."""
        self.by_tokens = _Line()
        """The same by tokens."""


class WaitingRoom:
    """Everybody who waits. Each stands in the line of one scope and is known to all scopes around theirs."""

    def __init__(self) -> None:
        self.lines: dict[Scope, _Lines] = {}
        """Only scopes in which, or below which, somebody waits."""

    def first(self, scope: Scope) -> Waiter | None:
        """Who came first of those standing in the line of `scope`."""
        lines = self.lines.get(scope)
        return lines.arrivals.head if lines is not None and lines.arrivals else None

    def greatest_need(self, scope: Scope) -> Amount | None:
        """The most, on either axis, that anybody in `scope` or below cannot do without."""
        lines = self.lines.get(scope)
        return None if lines is None else Amount(-lines.by_picousd[0][0], -lines.by_tokens[0][0])

    def neediest(self, scope: Scope, resource: Spendable) -> Waiter:
        """Whose need that is."""
        lines = self.lines[scope]
        return lines.by_picousd.head if resource == "usd" else lines.by_tokens.head

    def enter(self, waiter: Waiter, at: Scope) -> None:
        least = waiter.demand.least
        for scope in waiter.scope.chain:
            lines = self.lines.get(scope)
            if lines is None:
                lines = self.lines[scope] = _Lines()
            lines.by_picousd.join(-least.picousd, waiter)
            lines.by_tokens.join(-least.tokens, waiter)
        waiter.at = at
        self.lines[at].arrivals.join(waiter.ticket, waiter)

    def move_first(self, scope: Scope, to: Scope) -> None:
        """Whoever is first in the line of `scope` goes to stand in another, at the place of its arrival."""
        line = self.lines[scope].arrivals
        waiter = line.head
        line.pop_head()
        waiter.at = to
        self.lines[to].arrivals.join(waiter.ticket, waiter)

    def leave(self, waiter: Waiter) -> Scope:
        """Out of every line; the scope it stood at."""
        at = waiter.at
        assert at is not None
        waiter.at = None
        self.lines[at].arrivals.leave()
        for scope in waiter.scope.chain:
            lines = self.lines[scope]
            lines.by_picousd.leave()
            lines.by_tokens.leave()
            if not lines.by_picousd:
                del self.lines[scope]
        return at
