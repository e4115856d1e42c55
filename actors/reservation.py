"""`Demand`, and what becomes of it: a `Reservation` or a refusal, and in the end a settlement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from stratum.actors.amount import Amount, Spendable
from stratum.actors.ledger_state import LedgerState
from stratum.actors.scope import Scope
from stratum.contracts.errors import BudgetExceeded, Completed


class Demand(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The worst case of one request, as a function of the output cap it is sent with.

    Raises:
        ValueError: a negative number, or `min_cap` above `cap`.
    """

    input_picousd: int = 0
    """All that does not depend on the cap: input tokens and fees per request."""
    picousd_per_output_token: int = 0
    input_tokens: int = 0
    cap: int = 0
    """The output cap wanted; never more is granted."""
    min_cap: int = 0
    """The smallest cap worth sending; equal to `cap` where the demand may not be shrunk."""

    def __post_init__(self) -> None:
        if min(self.input_picousd, self.picousd_per_output_token, self.input_tokens, self.min_cap) < 0:
            raise ValueError(f"{self}: pass numbers of 0 or more")
        if self.min_cap > self.cap:
            raise ValueError(f"{self}: pass a min_cap of at most cap")

    def at(self, cap: int) -> Amount:
        """The worst case at this cap."""
        return Amount(self.input_picousd + cap * self.picousd_per_output_token, self.input_tokens + cap)

    @property
    def least(self) -> Amount:
        """The worst case at the smallest cap worth sending."""
        return self.at(self.min_cap)

    def cap_within(self, left: Amount) -> int:
        """The largest cap, up to the one wanted, whose worst case is within `left`; below `min_cap` if none is."""
        cap = min(self.cap, left.tokens - self.input_tokens)
        money = left.picousd - self.input_picousd
        if money < 0:
            return -1
        return min(cap, money // self.picousd_per_output_token) if self.picousd_per_output_token else cap


class Reservation(msgspec.Struct, eq=False, kw_only=True):
    """The worst case of one request, held in every scope around it until it is closed."""

    id: str
    scope: Scope
    """The innermost scope charged."""
    charged: tuple[Scope, ...]
    """All scopes charged, outermost first. One that a run was resumed with is not charged to the new session."""
    cap: int
    """The output cap to send: the answer can be no longer."""
    picousd: int
    tokens: int
    state: Literal["in_flight", "in_doubt", "closed"] = "in_flight"
    recorded: LedgerState | None = None
    """Where it comes from, if a run was resumed with it: scopes that the run opens again later read it there."""

    @property
    def amount(self) -> Amount:
        return Amount(self.picousd, self.tokens)

    @property
    def input_tokens(self) -> int:
        """The bound on input tokens that was reserved."""
        return self.tokens - self.cap

    def __repr__(self) -> str:
        return f"<Reservation {self.id!r} {self.state}, {self.amount}, {self.scope.path!r}>"


class Settlement(msgspec.Struct, frozen=True):
    """What booking the true cost showed."""

    overrun: Amount | None = None
    """How far the provider went beyond the worst case it was sent; `None`: it did not."""
    closed: Sequence[Scope] = ()
    """Scopes that the overrun took past their limit, outermost first: they admit nothing until it is raised."""


class Refused(Exception):
    """The demand cannot fit, whatever the calls in flight turn out to cost. Internal: users see `BudgetExceeded`."""

    def __init__(self, scope: Scope, resource: Spendable, *, requested: int) -> None:
        super().__init__(f"{scope!r} cannot afford {requested} more ({resource})")
        self.scope = scope
        """The innermost scope that refuses."""
        self.resource: Spendable = resource
        self.requested = requested
        """The least the demand could have done with, in picodollars or tokens."""

    def exceeded(self, *, completed: Sequence[Completed] = (), remaining: Sequence[str] = ()) -> BudgetExceeded:
        """The error for the owner of the scope, with the scope's numbers as they stand now."""
        scope = self.scope
        return BudgetExceeded(
            resource=self.resource,
            limit=scope.limits.axis(self.resource) or 0,
            settled=scope.settled.axis(self.resource),
            in_flight=scope.in_flight.axis(self.resource),
            in_doubt=scope.in_doubt.axis(self.resource),
            requested=self.requested,
            step=scope.label,
            completed=completed,
            remaining=remaining,
        )
