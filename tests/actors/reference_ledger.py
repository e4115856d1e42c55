"""A ledger that is obviously right: it keeps every reservation for ever and adds all of them up for each question.

Waiters are one list in order of arrival. Slow, and that is all that is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from stratum.actors.ledger import Amount, Demand, Limits, Reservation, Scope, Waiter

NOTHING = Amount()


@dataclass(eq=False)
class Node:
    """A scope, as the reference sees it."""

    path: str
    parent: Node | None
    limits: Limits
    run: int | None
    """Which journal it is in; a session is in none."""
    live: Scope | None
    """The ledger's own; `None` from a kill until it is opened again."""
    sealed: str | None = None
    overdrawn: str | None = None
    closed: bool = False

    @property
    def chain(self) -> list[Node]:
        """Outermost first."""
        return [*(self.parent.chain if self.parent else []), self]

    @property
    def scope(self) -> Scope:
        assert self.live is not None
        return self.live


@dataclass(eq=False)
class Booking:
    """A reservation, as the reference sees it."""

    id: str
    node: Node
    amount: Amount
    cap: int
    held: Reservation | None
    charged: list[Node]
    state: Literal["in_flight", "in_doubt", "closed"] = "in_flight"
    actual: Amount = NOTHING
    bill: Amount = NOTHING
    """What the provider charges in the end; only it knows before the answer is here."""


@dataclass(eq=False)
class Standing:
    """A waiter, as the reference sees it."""

    id: str
    node: Node
    demand: Demand
    waiter: Waiter
    at: Node


@dataclass(eq=False)
class Reference:
    nodes: list[Node] = field(default_factory=list[Node])
    bookings: list[Booking] = field(default_factory=list[Booking])
    standing: list[Standing] = field(default_factory=list[Standing])

    def settled(self, node: Node) -> Amount:
        return self._sum(booking.actual for booking in self.bookings if node in booking.charged)

    def held(self, node: Node, state: str) -> Amount:
        return self._sum(
            booking.amount for booking in self.bookings if node in booking.charged and booking.state == state
        )

    def billed(self, node: Node) -> Amount:
        return self._sum(booking.bill for booking in self.bookings if node in booking.charged)

    def counted(self, node: Node) -> Amount:
        return self.settled(node) + self.held(node, "in_flight") + self.held(node, "in_doubt")

    def over(self, node: Node, amount: Amount) -> str | None:
        if node.limits.picousd is not None and amount.picousd > node.limits.picousd:
            return "usd"
        return "tokens" if node.limits.tokens is not None and amount.tokens > node.limits.tokens else None

    def lacks(self, node: Node, demand: Demand) -> str | None:
        """Rule 3: R > L - S - D, at the smallest cap."""
        if node.sealed or node.overdrawn:
            return node.sealed or node.overdrawn
        return self.over(node, self.settled(node) + self.held(node, "in_doubt") + demand.at(demand.min_cap))

    def has_room(self, node: Node, amount: Amount) -> bool:
        """Rule 3: R <= L - S - F - D."""
        return self.over(node, self.counted(node) + amount) is None

    def refuser(self, node: Node, demand: Demand) -> Node | None:
        return next((each for each in reversed(node.chain) if self.lacks(each, demand)), None)

    def target_cap(self, node: Node, demand: Demand) -> int:
        """The largest cap that L - S - D affords everywhere, by trying them all."""
        spent = {each: self.settled(each) + self.held(each, "in_doubt") for each in node.chain}
        return max(
            cap
            for cap in range(demand.min_cap, demand.cap + 1)
            if all(self.over(each, spent[each] + demand.at(cap)) is None for each in node.chain)
        )

    def held_up_at(self, node: Node, amount: Amount, ahead: list[Standing]) -> Node | None:
        for each in node.chain:
            if any(other.at is each for other in ahead) or not self.has_room(each, amount):
                return each
        return None

    def prospect(self, node: Node, demand: Demand, ahead: list[Standing]) -> tuple[int, Node | None]:
        cap = self.target_cap(node, demand)
        return cap, self.held_up_at(node, demand.at(cap), ahead)

    def hold(self, name: str, node: Node, demand: Demand, cap: int) -> Booking:
        amount = demand.at(cap)
        quarters = len(self.bookings) % 5
        bill = Amount(amount.picousd * quarters // 4, amount.tokens * quarters // 4)
        booking = Booking(name, node, amount, cap, None, node.chain, bill=bill)
        self.bookings.append(booking)
        return booking

    def refused_by(self, changed: list[Node]) -> list[tuple[Standing, Node]]:
        """Waiters that a change in these scopes, innermost first, made impossible."""
        refused: list[tuple[Standing, Node]] = []
        for node in changed:
            for each in [each for each in self.standing if node in each.node.chain and self.lacks(node, each.demand)]:
                self.standing.remove(each)
                refused.append((each, node))
        return refused

    def admitted_by(self, moving: list[Node]) -> list[tuple[Standing, int]]:
        """Waiters that move up in the lines of these scopes, until each line's first has to stay."""
        admitted: list[tuple[Standing, int]] = []
        while first := next((each for each in self.standing if each.at in moving), None):
            ahead = self.standing[: self.standing.index(first)]
            cap, at = self.prospect(first.node, first.demand, ahead)
            if at is first.at:
                moving = [node for node in moving if node is not at]
            elif at is not None:
                first.at = at
            else:
                self.standing.remove(first)
                admitted.append((first, cap))
                self.hold(first.id, first.node, first.demand, cap)
        return admitted

    @staticmethod
    def _sum(amounts: Iterable[Amount]) -> Amount:
        pairs = [(amount.picousd, amount.tokens) for amount in amounts]
        return Amount(sum(picousd for picousd, _ in pairs), sum(tokens for _, tokens in pairs))
