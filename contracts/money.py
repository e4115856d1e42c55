"""Money as integers of picodollars (10^-12 USD).

Token prices are whole numbers in this unit (the cheapest published one, a cached
batch token at 2.5 nano-dollars, is not a whole number of nano-dollars), integers add up
the same in any branch order, and a 64-bit SQLite column holds $9.2 million.
Floats and Decimals are converted here, at the edge, and nowhere else.
"""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal

PICOUSD_PER_USD = 10**12
LARGEST_USD = (2**63 - 1) // PICOUSD_PER_USD
"""What a 64-bit column of picodollars holds, in whole dollars."""

# A context of our own: the caller's may round to a few digits, or trap.
_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])


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

    The audit's form, in which 0.0087 USD reads `0.009` and 0.00004 USD still reads `0.00004`.
    """
    if 0 < abs(picousd) < PICOUSD_PER_USD // 2000:
        two_digits = 14 - len(str(abs(picousd)))
        return f"{usd(picousd):.{min(two_digits, 12)}f}".rstrip("0")
    millis = (abs(picousd) * 1000 + PICOUSD_PER_USD // 2) // PICOUSD_PER_USD
    return f"{'-' if picousd < 0 else ''}{millis // 1000}.{millis % 1000:03}"


def _picousd(value: object, *, rounding: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError(f"expected a number of USD, got {value!r}; pass an int, float or Decimal")
    if not _is_finite(value) or not 0 <= value <= LARGEST_USD:
        raise ValueError(f"{value!r} is not an amount of money; pass a number of USD from 0 to {LARGEST_USD:,}")
    # A float's repr is the shortest text that reads back as it: 0.1 means a tenth, not 0.1000000000000000055.
    amount = Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)
    return int(_EXACT.scaleb(amount, 12).to_integral_value(rounding=rounding))


def _is_finite(value: float | Decimal) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else not isinstance(value, float) or math.isfinite(value)
