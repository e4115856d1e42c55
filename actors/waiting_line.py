"""`Waiter` and the lines it stands in: who waits for room in a budget, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from stratum.actors.reservation import Demand, Refused, Reservation
from stratum.actors.scope import Scope

Decided = Callable[[Reservation | Refused], None]


class Waiter:
    """A request that holds nothing yet. A record, not a task: 100,000 of them are cheap."""

    __slots__ = ("at", "decided", "demand", "reservation", "scope", "ticket")

    def __init__(self, ticket: int, scope: Scope, *, demand: Demand, reservation: str, decided: Decided) -> None:
        self.ticket = ticket
        """Order of arrival in the whole ledger."""
        self.scope = scope
        self.demand = demand
        self.reservation = reservation
        self.decided = decided
        """Called once, when it is admitted or refused; not when it is withdrawn."""
        self.at: Scope | None = None
        """The scope in whose line of arrivals it stands: the outermost that holds it up. `None`: no longer waiting."""


class WaitingLine(list[tuple[int, int, Waiter]]):
    """Waiters in one order, as a heap of (key, ticket, waiter): joining and leaving are O(log n), amortised.

    Someone who leaves from the middle stays as a dead entry until it comes to the
    front, or until the dead outnumber the rest. The head is always alive.
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

    def pass_on(self) -> Waiter:
        """The head, which goes on to another line."""
        waiter = heappop(self)[2]
        self._bury()
        return waiter

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


class WaitingLines:
    """The waiters of one scope."""

    __slots__ = ("arrivals", "by_picousd", "by_tokens")

    def __init__(self) -> None:
        self.arrivals = WaitingLine()
        """Those held up by this scope itself, first come first."""
        self.by_picousd = WaitingLine()
        """All in this scope and below, whoever needs most money first: the first to become impossible."""
        self.by_tokens = WaitingLine()
        """The same by tokens."""
