"""`price_of`: a model's published price, compiled once to picodollars.

From `genai-prices`, which ships its data: no network. Where more than one price may apply while a process lives
(off-peak hours, a change on a day still to come), the dearest counts: a budget has to hold whichever is billed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from stratum.contracts.money import price_picousd
from stratum.contracts.price import TOKENS_PER_MILLION, Price, Rates, Tier
from stratum.engine.pricing.service_tier import STANDARD

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

_OUTPUT_KEYS: Final = ("output_mtok", "output_reasoning_mtok")
_CACHE_WRITE_KEYS: Final = ("cache_write_mtok", "cache_write_5m_mtok", "cache_write_1h_mtok")


@lru_cache(maxsize=256)
def price_of(model: str, *, provider: str, tiers: Sequence[str] = STANDARD) -> Price | None:
    """The published price of a text call to `model`; `None` where there is none, and a USD budget must be refused.

    Loads the price data the first time (0.4 s of CPU). Of several service tiers that a call may be billed at, the
    dearest of those that the model has.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    now = datetime.now(UTC)
    prices = [price for tier in tiers for price in _possible_prices(info, tier=tier, now=now)]
    if not prices or any(price.input_mtok is None or price.output_mtok is None for price in prices):
        return None
    return Price(
        rates=_rates(prices, input_tokens=0),
        tiers=tuple(
            Tier(above_input_tokens=start, rates=_rates(prices, input_tokens=start + 1))
            for start in _thresholds(prices)
        ),
        per_request=max(_at(price.requests_kcount, 0, per=1000) or 0 for price in prices),
    )


def _possible_prices(info: ModelInfo, *, tier: str, now: datetime) -> list[ModelPrice]:
    """In a service tier; none where the model is not served in it."""
    standard = _standard_prices(info, now=now)
    if tier == "default":
        return standard
    asked = {"service_tier": tier}
    if not any(variant.when == asked for variant in info.price_variants or ()):
        return []
    return [replace(info, prices=price).get_prices(now, asked) for price in standard]


def _standard_prices(info: ModelInfo, *, now: datetime) -> list[ModelPrice]:
    """The price now, and every other that may become the price without the process being started again."""
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

    possible = [info.get_prices(now)]
    for conditional in [] if isinstance(info.prices, ModelPrice) else info.prices:
        constraint = conditional.constraint
        yet_to_come = isinstance(constraint, StartDateConstraint) and not constraint.active(now)
        if yet_to_come or isinstance(constraint, TimeOfDateConstraint):
            possible.append(conditional.prices)
    return possible


def _thresholds(prices: Iterable[ModelPrice]) -> list[int]:
    keys = ("input_mtok", "cache_read_mtok", *_OUTPUT_KEYS, *_CACHE_WRITE_KEYS)
    tiers = (tier for price in prices for key in keys for tier in getattr(getattr(price, key), "tiers", ()))
    return sorted({tier.start for tier in tiers})


def _rates(prices: list[ModelPrice], *, input_tokens: int) -> Rates:
    def dearest(*keys: str) -> int | None:
        found = (_at(getattr(price, key), input_tokens) for price in prices for key in keys)
        return max((rate for rate in found if rate is not None), default=None)

    return Rates(
        input=dearest("input_mtok") or 0,
        output=dearest(*_OUTPUT_KEYS) or 0,
        # A model that may have no cache discount at some hour is taken to have none.
        cached=dearest("cache_read_mtok") if all(price.cache_read_mtok is not None for price in prices) else None,
        cache_write=dearest(*_CACHE_WRITE_KEYS),
    )


def _at(price: Decimal | TieredPrices | None, input_tokens: int, *, per: int = TOKENS_PER_MILLION) -> int | None:
    """Picodollars of one unit in a call with that many input tokens; prices are quoted `per` so many units."""
    if price is None:
        return None
    if not isinstance(price, Decimal):
        reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
        price = reached[-1] if reached else price.base
    return price_picousd(price / per)
