"""`Allowance`: what all sessions of a project may spend together in a day, a month, or ever."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from stratum.contracts.money import limit_picousd

Period = Literal["day", "month", "ever"]


class Allowance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit on money over every process that writes to one journal. Days and months are UTC.

    Raises:
        ValueError: not an amount of money, or another period.
    """

    usd: float | Decimal
    per: Period = "day"

    def __post_init__(self) -> None:
        limit_picousd(self.usd)
        if self.per not in ("day", "month", "ever"):
            raise ValueError(f"Allowance(per={self.per!r}): pass 'day', 'month' or 'ever'")

    @property
    def picousd(self) -> int:
        """The limit in picodollars, rounded down."""
        return limit_picousd(self.usd)

    def first_day(self, today: date) -> str:
        """The first day that counts, ISO 8601; empty: every day."""
        if self.per == "ever":
            return ""
        return (today if self.per == "day" else today.replace(day=1)).isoformat()
