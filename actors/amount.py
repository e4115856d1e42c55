"""`Amount` and `Limits`: money and tokens side by side, as the ledger counts and bounds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from stratum.contracts.budget import Budget

Spendable = Literal["usd", "tokens"]
"""What a reservation holds; time is a deadline, not a reservation."""


class Amount(msgspec.Struct, frozen=True, gc=False):
    """Money and tokens."""

    picousd: int = 0
    tokens: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.picousd + other.picousd, self.tokens + other.tokens)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.picousd - other.picousd, self.tokens - other.tokens)

    def axis(self, resource: Spendable) -> int:
        """The money, or the tokens."""
        return self.picousd if resource == "usd" else self.tokens

    def exceeds(self, other: Amount) -> bool:
        """More than `other` on either axis."""
        return self.picousd > other.picousd or self.tokens > other.tokens


class Limits(msgspec.Struct, frozen=True, gc=False):
    """The most a scope may use; `None` leaves that axis to the scopes around it.

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
        """The part of a budget that is reserved and settled; time is not."""
        return cls(budget.picousd, budget.tokens)

    @classmethod
    def from_record(cls, limits: Mapping[str, int]) -> Limits:
        """From the `limits` of a journal record; their `ms` is not the ledger's."""
        return cls(limits.get("usd"), limits.get("tokens"))

    def axis(self, resource: Spendable) -> int | None:
        """The limit of money, or of tokens."""
        return self.picousd if resource == "usd" else self.tokens

    def exceeded_by(self, counted: Amount) -> Spendable | None:
        """The resource of which `counted` is more than allowed."""
        if self.picousd is not None and counted.picousd > self.picousd:
            return "usd"
        return "tokens" if self.tokens is not None and counted.tokens > self.tokens else None

    def raised_to(self, limits: Limits) -> Limits:
        """These, with the axes that `limits` names replaced."""
        return Limits(
            self.picousd if limits.picousd is None else limits.picousd,
            self.tokens if limits.tokens is None else limits.tokens,
        )
