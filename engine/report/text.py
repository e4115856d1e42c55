"""Texts as pages show them."""

from __future__ import annotations

from decimal import Decimal
from html import escape

from stratum.contracts.money import PICOUSD_PER_USD


def escaped(text: str, *, most: int | None = None) -> str:
    """Escaped, and without what would turn the direction of the text around it; no more than `most` characters of it."""
    if most is not None and len(text) > most:
        text = f"{text[:most]}… ({len(text) - most:,} characters more)"
    shown = "".join(char if char.isprintable() or char == "\n" else f"\\u{ord(char):04x}" for char in text)
    return escape(shown, quote=True)


def seconds(milliseconds: int) -> str:
    """`420 ms`, `3.2 s`, `4.0 min`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def limit_shown(axis: str, limit: int) -> str:
    """A limit to the last digit, as records have it: `usd` in picodollars, `ms`, `tokens`."""
    match axis:
        case "usd":
            return f"${(Decimal(limit) / PICOUSD_PER_USD).normalize():f}"
        case "ms":
            return f"{limit / 1000:.15g} s"
        case _:
            return f"{limit:,} tokens"
