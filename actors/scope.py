"""`Scope`: one node of the budget tree, its limits and what counts against them."""

from __future__ import annotations

import msgspec

from stratum.actors.amount import Amount, Limits, Spendable
from stratum.actors.ledger_state import LedgerState

UNLIMITED = 1 << 120
"""Stands for no limit: above any sum of amounts, so that comparing needs no special case."""


class Scope(msgspec.Struct, eq=False, kw_only=True):
    """One envelope: a session, a run, a flow, a step or a call.

    Every number is the sum over the scope's subtree. Read them freely; only the ledger writes.
    """

    path: str
    parent: Scope | None
    label: str
    limits: Limits
    chain: tuple[Scope, ...] = ()
    """The outermost scope first, this one last: all that a reservation here is charged to."""
    children: int = 0
    """Open scopes directly inside."""
    recorded: LedgerState | None = None
    """What the run was resumed with: scopes that it opens again inside take up their numbers from here."""

    # Plain integers rather than Amounts, and what counts rather than what is in flight:
    # reserving and settling touch each scope around a call, and this halves what they cost.
    counted_picousd: int = 0
    """Settled, in flight and in doubt together."""
    counted_tokens: int = 0
    settled_picousd: int = 0
    settled_tokens: int = 0
    in_doubt_picousd: int = 0
    in_doubt_tokens: int = 0
    limit_picousd: int = UNLIMITED
    limit_tokens: int = UNLIMITED

    admits: bool = True
    """False once closed, sealed or overdrawn."""
    closed: bool = False
    sealed: Spendable | None = None
    """Its owner wants nothing more admitted, for want of this."""
    overdrawn: Spendable | None = None
    """More of this counts than the limit allows, by an overrun or by lowering the limit."""

    def __post_init__(self) -> None:
        self.chain = (self,) if self.parent is None else (*self.parent.chain, self)
        self.set_limits(self.limits)

    @property
    def settled(self) -> Amount:
        """Known and paid. Never falls."""
        return Amount(self.settled_picousd, self.settled_tokens)

    @property
    def in_flight(self) -> Amount:
        """Reserved; the call is running."""
        return self.counted - self.settled - self.in_doubt

    @property
    def in_doubt(self) -> Amount:
        """Reserved; the outcome of the call is unknown. Leaves only by `reconcile`."""
        return Amount(self.in_doubt_picousd, self.in_doubt_tokens)

    @property
    def counted(self) -> Amount:
        """All that counts against the limit; never above it, unless overdrawn."""
        return Amount(self.counted_picousd, self.counted_tokens)

    @property
    def left(self) -> Amount:
        """What would be free if all calls in flight turned out to cost nothing; negative if overspent."""
        return Amount(
            self.limit_picousd - self.settled_picousd - self.in_doubt_picousd,
            self.limit_tokens - self.settled_tokens - self.in_doubt_tokens,
        )

    @property
    def exhausted(self) -> bool:
        """Nothing that costs anything can be admitted any more, whatever the calls in flight turn out to cost."""
        left = self.left
        return not self.admits or left.picousd <= 0 or left.tokens <= 0

    def lacks(self, amount: Amount) -> Spendable | None:
        """The resource for want of which `amount` can never be admitted."""
        if not self.admits:
            return self.sealed or self.overdrawn or "usd"
        left = self.left
        if amount.picousd > left.picousd:
            return "usd"
        return "tokens" if amount.tokens > left.tokens else None

    def has_room(self, amount: Amount) -> bool:
        """Whether `amount` fits beside all that counts now."""
        return (
            self.counted_picousd + amount.picousd <= self.limit_picousd
            and self.counted_tokens + amount.tokens <= self.limit_tokens
        )

    def set_limits(self, limits: Limits) -> None:
        """Put `limits` in place of those it has; they close it where more than that counts already."""
        self.limits = limits
        self.limit_picousd = UNLIMITED if limits.picousd is None else limits.picousd
        self.limit_tokens = UNLIMITED if limits.tokens is None else limits.tokens
        self.overdraw(limits.exceeded_by(self.counted))

    def overdraw(self, resource: Spendable | None) -> None:
        self.overdrawn = resource
        self.admits = not self.closed and self.sealed is None and resource is None

    def __repr__(self) -> str:
        return f"<Scope {self.path!r} ({self.label}), {self.limits}>"
