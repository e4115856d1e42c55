"""`assert_spent`: what a test's calls would have cost."""

from __future__ import annotations

from typing import NamedTuple

from stratum.contracts.money import format_usd, limit_picousd, price_picousd
from stratum.contracts.money import usd as dollars
from stratum.engine.runtime import Runtime
from stratum.engine.tenant import Tenant


class Spent(NamedTuple):
    """What all calls of a runtime, or of a tenant, count for: settled, or in doubt."""

    usd: float
    tokens: int
    in_doubt_usd: float


def spent(where: Runtime | Tenant) -> Spent:
    """So far; calls still in flight are not in it."""
    scope = where.place.envelope.scope
    return Spent(
        usd=dollars(scope.settled.picousd + scope.in_doubt.picousd),
        tokens=scope.settled.tokens + scope.in_doubt.tokens,
        in_doubt_usd=dollars(scope.in_doubt.picousd),
    )


def assert_spent(
    where: Runtime | Tenant,
    *,
    usd: float | None = None,
    at_most_usd: float | None = None,
    tokens: int | None = None,
    at_most_tokens: int | None = None,
) -> None:
    """Fail the test unless its calls cost this; USD are compared to the picodollar, as they are counted."""
    found = spent(where)
    picousd = price_picousd(found.usd)
    shown = f"spent {format_usd(picousd)} USD and {found.tokens} tokens"
    if usd is not None and picousd != price_picousd(usd):
        raise AssertionError(f"{shown}, not {usd} USD")
    if at_most_usd is not None and picousd > limit_picousd(at_most_usd):
        raise AssertionError(f"{shown}, more than {at_most_usd} USD")
    if tokens is not None and found.tokens != tokens:
        raise AssertionError(f"{shown}, not {tokens} tokens")
    if at_most_tokens is not None and found.tokens > at_most_tokens:
        raise AssertionError(f"{shown}, more than {at_most_tokens} tokens")
