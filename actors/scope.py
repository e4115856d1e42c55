"""`Scope`: one node of the budget tree, its limits and what counts against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from stratum.contracts.budget import Budget

Spendable = Literal["usd", "tokens"]
"""What a reservation holds; time is a deadline, not a reservation."""

UNLIMITED = 1 << 120
"""Stands for no limit: above any sum of amounts, so that comparing needs no special case."""


class Amount(msgspec.Struct, frozen=True, gc=False):
    """Money and tokens."""

    picousd: int = 0
    tokens: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.picousd + other.picousd, self.tokens + other.tokens)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.picousd - other.picousd, self.tokens - other.tokens)

    def exceeds(self, other: Amount) -> bool:
        """More than `other` on either axis."""
        return self.picousd > other.picousd or self.tokens > other.tokens


class Limits(msgspec.Struct, frozen=True, gc=False):
    """The most a scope may use; `None` leaves that axis to its ancestors.

    Raises:
        ValueError: a negative limit.
    """

    picousd: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        if (self.picousd or 0) < 0 or (self.tokens or 0) < 0:
            raise ValueError(f"{self}: pass limits of 0 or more, or None")

    @classmethod
    def of(cls, budget: Budget) -> Limits:
        return cls(budget.picousd, budget.tokens)

    @classmethod
    def from_record(cls, limits: Mapping[str, int]) -> Limits:
        """From the `limits` of a journal record; their `ms` is not the ledger's."""
        return cls(limits.get("usd"), limits.get("tokens"))

    def for_record(self) -> dict[str, int]:
        """As `ScopeOpened.limits` and `LimitRaised.limits` have them."""
        axes = {"usd": self.picousd, "tokens": self.tokens}
        return {resource: limit for resource, limit in axes.items() if limit is not None}


class Scope:
    """One envelope: a session, a run, a flow, a step or a call.

    Every number is the sum over the scope's subtree. Read them freely; only the ledger writes.
    """

    __slots__ = (
        "admits",
        "chain",
        "children",
        "closed",
        "counted_picousd",
        "counted_tokens",
        "in_doubt_picousd",
        "in_doubt_tokens",
        "label",
        "limit_picousd",
        "limit_tokens",
        "limits",
        "overdrawn",
        "parent",
        "path",
        "sealed",
        "settled_picousd",
        "settled_tokens",
    )

    def __init__(self, path: str, *, parent: Scope | None, label: str, limits: Limits) -> None:
        self.path = path
        self.parent = parent
        self.label = label
        self.chain: tuple[Scope, ...] = (self,) if parent is None else (*parent.chain, self)
        """The session first, this scope last: all that a reservation here is charged to."""
        self.counted_picousd = self.settled_picousd = self.in_doubt_picousd = 0
        self.counted_tokens = self.settled_tokens = self.in_doubt_tokens = 0
        self.sealed: Spendable | None = None
        self.overdrawn: Spendable | None = None
        self.closed = False
        self.admits = True
        """False once closed, sealed or overdrawn."""
        self.children = 0
        self.set_limits(limits)

    def set_limits(self, limits: Limits) -> None:
        """Put `limits` in place of those it has; they close it where more than that counts already."""
        self.limits = limits
        self.limit_picousd = UNLIMITED if limits.picousd is None else limits.picousd
        self.limit_tokens = UNLIMITED if limits.tokens is None else limits.tokens
        self.overdrawn = self.over()
        self.admits = not self.closed and self.sealed is None and self.overdrawn is None

    @property
    def settled(self) -> Amount:
        """Known and paid. Never falls."""
        return Amount(self.settled_picousd, self.settled_tokens)

    @property
    def in_flight(self) -> Amount:
        """Reserved; the call is running."""
        return Amount(
            self.counted_picousd - self.settled_picousd - self.in_doubt_picousd,
            self.counted_tokens - self.settled_tokens - self.in_doubt_tokens,
        )

    @property
    def in_doubt(self) -> Amount:
        """Reserved; the outcome of the call is unknown. Leaves only by `reconcile`."""
        return Amount(self.in_doubt_picousd, self.in_doubt_tokens)

    @property
    def left(self) -> Amount:
        """What would be free if nothing in flight cost anything; negative when overspent."""
        return Amount(
            self.limit_picousd - self.settled_picousd - self.in_doubt_picousd,
            self.limit_tokens - self.settled_tokens - self.in_doubt_tokens,
        )

    @property
    def exhausted(self) -> bool:
        """Nothing that costs anything can be admitted any more, whatever the calls in flight turn out to cost."""
        left = self.left
        return not self.admits or left.picousd <= 0 or left.tokens <= 0

    def has_room(self, picousd: int, tokens: int) -> bool:
        """Whether that much fits beside all that counts now."""
        return (
            self.counted_picousd + picousd <= self.limit_picousd and self.counted_tokens + tokens <= self.limit_tokens
        )

    def lacks(self, picousd: int, tokens: int) -> Spendable | None:
        """The resource of which that much can never fit, even after every call in flight is over."""
        if not self.admits:
            return self.sealed or self.overdrawn or "usd"
        left = self.left
        if picousd > left.picousd:
            return "usd"
        return "tokens" if tokens > left.tokens else None

    def over(self) -> Spendable | None:
        """The resource of which more counts than the limit allows."""
        if self.counted_picousd > self.limit_picousd:
            return "usd"
        return "tokens" if self.counted_tokens > self.limit_tokens else None

    def __repr__(self) -> str:
        return f"<Scope {self.path!r} {self.label!r} of {self.limits}>"
