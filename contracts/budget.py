"""`Budget`: what one invocation may use of time, money and tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from stratum.contracts.money import PICOUSD_PER_USD, limit_picousd

OnExhaustion = Literal["cancel", "drain"]

LONGEST_MS = 1000 * 60 * 60 * 24 * 365 * 100
"""A century."""
MOST_TOKENS = 2**63 - 1
"""What a 64-bit column holds."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The limits of one invocation; `None` leaves that axis to whatever encloses it.

    A budget covers every attempt of the call, flow or step that carries it, and
    everything called inside. Nested budgets can only tighten.

    Raises:
        ValueError: a limit that is negative, NaN, infinite or a bool, or no limit at all on time (`ms=0`).
    """

    ms: float | None = None
    """Time in milliseconds, from the start of the invocation; waiting for a person is not counted."""
    usd: float | Decimal | None = None
    """Money in US dollars; 0 admits only calls that cost nothing."""
    tokens: int | None = None
    """Input plus output tokens, reasoning included."""
    on_exhaustion: OnExhaustion = "cancel"
    """`cancel` stops siblings in flight at the first refusal; `drain` lets those already paid for finish."""

    def __post_init__(self) -> None:
        if self.ms is not None and not (_is_number(self.ms) and 0 < self.ms <= LONGEST_MS):
            raise ValueError(f"Budget(ms={self.ms!r}): pass a number of milliseconds above 0, at most {LONGEST_MS:,}")
        if self.tokens is not None and not (_is_whole(self.tokens) and 0 <= self.tokens <= MOST_TOKENS):
            raise ValueError(f"Budget(tokens={self.tokens!r}): pass a whole number of tokens, 0 to {MOST_TOKENS:,}")
        if self.usd is not None:
            limit_picousd(self.usd)
        if self.on_exhaustion not in ("cancel", "drain"):
            raise ValueError(f"Budget(on_exhaustion={self.on_exhaustion!r}): pass 'cancel' or 'drain'")
        for axis in ("ms", "usd", "tokens"):
            # numpy's float64 is a float, an IntEnum an int; but no encoder writes a number of another class.
            msgspec.structs.force_setattr(self, axis, _plain(getattr(self, axis)))

    @property
    def picousd(self) -> int | None:
        """The money limit in picodollars, rounded down."""
        return None if self.usd is None else _picousd(self.usd)

    @property
    def limits(self) -> dict[str, int]:
        """As records have them: only those that are set; `usd` in picodollars, `tokens`, whole `ms`."""
        axes = {"usd": self.picousd, "tokens": self.tokens, "ms": None if self.ms is None else math.ceil(self.ms)}
        return {resource: limit for resource, limit in axes.items() if limit is not None}

    @classmethod
    def of_limits(cls, limits: Mapping[str, int], *, on_exhaustion: OnExhaustion = "cancel") -> Budget:
        """The budget that has these limits, as records have them."""
        money = limits.get("usd")
        return cls(
            ms=limits.get("ms"),
            usd=None if money is None else Decimal(money) / PICOUSD_PER_USD,
            tokens=limits.get("tokens"),
            on_exhaustion=on_exhaustion,
        )

    @property
    def seconds(self) -> float:
        """The time limit in seconds; infinite when there is none."""
        return math.inf if self.ms is None else self.ms / 1000


@lru_cache(maxsize=256)
def _picousd(usd: float | Decimal) -> int:
    """Of an amount that was found to be one. Decimal arithmetic takes longer than opening the budget's scope, and is asked twice."""
    return limit_picousd(usd)


def _plain(value: float | Decimal | None) -> float | Decimal | None:
    if isinstance(value, float):
        return float(value)
    return int(value) if isinstance(value, int) else value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
