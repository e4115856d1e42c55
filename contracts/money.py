"""Money as integers of picodollars (10^-12 USD).

Token prices are whole numbers in this unit (the cheapest published one, a cached
batch token at 2.5 nano-dollars, is not a whole number of nano-dollars), integers add up
the same in any branch order, and a 64-bit SQLite column holds $9.2 million.
Floats and Decimals are converted here, at the edge, and nowhere else.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

PICOUSD_PER_USD = 10**12

type_error = "expected a number of USD, got {value!r}; pass an int, float or Decimal"


def limit_picousd(usd: float | Decimal) -> int:
    """A limit in picodollars, rounded down: a limit is never larger than was asked for.

    Raises:
        ValueError: negative, NaN, infinite, a bool, or not a number.
    """
    return _picousd(usd, rounding=ROUND_FLOOR)


def price_picousd(usd: float | Decimal) -> int:
    """A price in picodollars, rounded up: a price is never smaller than the provider's.

    Raises:
        ValueError: negative, NaN, infinite, a bool, or not a number.
    """
    return _picousd(usd, rounding=ROUND_CEILING)


def usd(picousd: int) -> float:
    """Dollars as a float, for people and JSON; never for arithmetic."""
    return picousd / PICOUSD_PER_USD


def format_usd(picousd: int) -> str:
    """`0.037`: three decimals, more only where three would show nothing.

    The audit's form in which `0.0087` USD reads `0.009` and `0.00004` USD still reads `0.00004`.
    """
    amount = Decimal(picousd) / PICOUSD_PER_USD
    if picousd == 0 or abs(amount) >= Decimal("0.0005"):
        return f"{amount:.3f}"
    return f"{float(f'{amount:.2g}'):f}".rstrip("0") if abs(amount) >= Decimal("0.000001") else f"{amount:.1e}"


def _picousd(value: object, *, rounding: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError(type_error.format(value=value))
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not an amount of money; pass a finite number of USD")
    # repr is the shortest text that reads back as this float: 0.1 means a tenth, not 0.1000000000000000055.
    amount = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{value!r} is not an amount of money; pass a finite number of USD, 0 or more")
    return int((amount * PICOUSD_PER_USD).to_integral_value(rounding=rounding))
