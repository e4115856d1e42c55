"""`Price`: a worst case that is one, and the exact cost of what was used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stratum.contracts.price import FREE, Price, Rates, Tier, Usage

PRICE = Price.per_million(input=2, cached=0.5, output=8)
LONG = Price(
    rates=Rates(input=10, output=40),
    tiers=(
        Tier(above_input_tokens=1000, rates=Rates(input=20, output=60)),
        Tier(above_input_tokens=2000, rates=Rates(input=15, output=100)),
    ),
)

tokens = st.integers(0, 5000)
rate = st.integers(0, 10**9)
all_rates = st.builds(Rates, input=rate, output=rate, cached=st.none() | rate, cache_write=st.none() | rate)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    thresholds = sorted(draw(st.sets(tokens, max_size=3)))
    tiers = tuple(Tier(above_input_tokens=threshold, rates=draw(all_rates)) for threshold in thresholds)
    return Price(rates=draw(all_rates), tiers=tiers, per_request=draw(rate))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    cached, written, fresh = draw(tokens), draw(tokens), draw(tokens)
    return Usage(
        input_tokens=cached + written + fresh,
        output_tokens=draw(tokens),
        cached_tokens=cached,
        cache_write_tokens=written,
    )


@given(prices(), usages(), st.integers(0, 100), st.integers(0, 100))
def test_no_usage_within_the_bounds_costs_more_than_the_worst_case(
    price: Price, usage: Usage, more_input: int, more_output: int
) -> None:
    """I2: whatever the cache makes of the input, whichever tier it ends up in."""
    bound = price.worst_case(
        input_tokens=usage.input_tokens + more_input, output_tokens=usage.output_tokens + more_output
    )
    assert 0 <= price.cost(usage) <= bound


@given(prices(), tokens, tokens, st.integers(0, 100))
def test_the_worst_case_grows_by_the_output_rate_for_each_token_of_the_cap(
    price: Price, input_tokens: int, cap: int, more: int
) -> None:
    """BUDGETS rule 1: how the ledger lowers the cap to fit."""
    grown = price.worst_case(input_tokens=input_tokens, output_tokens=cap + more)
    rate_per_token = price.output_rate(input_tokens=input_tokens)
    assert grown == price.worst_case(input_tokens=input_tokens, output_tokens=cap) + more * rate_per_token


@given(prices(), usages(), usages())
def test_using_more_of_everything_never_costs_less_within_a_tier(price: Price, usage: Usage, more: Usage) -> None:
    total = Usage(
        input_tokens=usage.input_tokens + more.input_tokens,
        output_tokens=usage.output_tokens + more.output_tokens,
        cached_tokens=usage.cached_tokens + more.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens + more.cache_write_tokens,
    )
    assume(not any(usage.input_tokens <= tier.above_input_tokens < total.input_tokens for tier in price.tiers))
    assert price.cost(usage) <= price.cost(total)


@pytest.mark.parametrize(
    ("usage", "picousd"),
    [
        (Usage(input_tokens=1000, output_tokens=100), 2_800_000_000),
        (Usage(input_tokens=1000, output_tokens=500, cached_tokens=800), 4_800_000_000),
        (Usage(input_tokens=1000, output_tokens=500, reasoning_tokens=400), 6_000_000_000),
        (Usage(input_tokens=0, output_tokens=0), 0),
    ],
)
def test_the_cost_of_a_call_is_what_was_used_at_its_own_rates(usage: Usage, picousd: int) -> None:
    """BUDGETS 2, 11; reasoning tokens are among the output tokens."""
    assert PRICE.cost(usage) == picousd


def test_writing_to_the_cache_has_a_rate_of_its_own() -> None:
    price = Price(rates=Rates(input=10, output=0, cached=1, cache_write=12))
    assert price.cost(Usage(input_tokens=100, output_tokens=0, cached_tokens=30, cache_write_tokens=20)) == (
        50 * 10 + 30 * 1 + 20 * 12
    )
    assert price.worst_case(input_tokens=100, output_tokens=0) == 1200


@pytest.mark.parametrize(
    ("input_tokens", "cost"), [(1000, 10 * 1000 + 40), (1001, 20 * 1001 + 60), (2001, 15 * 2001 + 100)]
)
def test_long_context_reprices_the_whole_call(input_tokens: int, cost: int) -> None:
    assert LONG.cost(Usage(input_tokens=input_tokens, output_tokens=1)) == cost


def test_the_worst_case_is_the_dearest_tier_within_reach() -> None:
    """An input that turns out shorter than its bound may be billed in a dearer tier."""
    assert LONG.worst_case(input_tokens=2001, output_tokens=1) == 20 * 2001 + 100


@pytest.mark.parametrize(
    ("usd", "picousd"), [(0.0025, 2_500), (0.05, 50_000), (0.00013, 130), (Decimal("1.25"), 1_250_000), (0, 0)]
)
def test_prices_per_million_become_picodollars_a_token(usd: float | Decimal, picousd: int) -> None:
    """BUDGETS 23."""
    assert Price.per_million(input=usd, output=0).rates.input == picousd


def test_a_price_is_never_smaller_than_the_providers() -> None:
    """BUDGETS, Unit: prices round up."""
    assert Price.per_million(input=Decimal("1e-9"), output=Decimal("1.0000000001")).rates == Rates(
        input=1, output=1_000_001
    )


def test_rates_and_tiers_are_written_in_usd_per_million_tokens_too() -> None:
    price = Price(
        rates=Rates.per_million(input=1.25, output=10, cached=0.125, cache_write=1.5625),
        tiers=(Tier(above_input_tokens=1000, rates=Rates.per_million(input=2.5, output=15)),),
    )
    assert price.rates == Rates(input=1_250_000, output=10_000_000, cached=125_000, cache_write=1_562_500)
    assert price.tiers[0].rates == Rates(input=2_500_000, output=15_000_000)
    assert Rates.per_million(input=0.1, output=0.4) == Price.per_million(input=0.1, output=0.4).rates


def test_a_fee_per_request_is_counted_once() -> None:
    """BUDGETS rule 1."""
    price = Price.per_million(input=0, output=0, per_request=0.01)
    assert price.worst_case(input_tokens=5, output_tokens=5) == 10**10
    assert price.cost(Usage(input_tokens=5, output_tokens=5)) == 10**10
    assert not price.free


def test_only_what_can_never_cost_anything_is_free() -> None:
    assert FREE.free
    assert not PRICE.free
    assert not Price(rates=FREE.rates, tiers=(Tier(above_input_tokens=10, rates=PRICE.rates),)).free
    assert not Price(rates=Rates(input=0, output=0, cached=1)).free


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": -1},
        {"output_tokens": -1},
        {"cached_tokens": -1},
        {"cache_write_tokens": -1},
        {"reasoning_tokens": -1},
        {"cached_tokens": 101},
        {"cached_tokens": 60, "cache_write_tokens": 41},
    ],
)
def test_counts_that_cannot_be_true_are_refused(counts: dict[str, int]) -> None:
    """A provider must not be able to make a call look cheaper than it was, let alone free others' money."""
    with pytest.raises(ValueError, match="pass counts"):
        Usage(**{"input_tokens": 100, "output_tokens": 10} | counts)
    body = msgspec.json.encode({"input_tokens": 100, "output_tokens": 10} | counts)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Usage)


@pytest.mark.parametrize(
    "wrong", [{"input": -1}, {"output": -1}, {"cached": -1}, {"cache_write": -1}, {"input": 0.5}, {"output": True}]
)
def test_a_rate_that_is_negative_or_no_whole_number_is_refused(wrong: dict[str, Any]) -> None:
    """USD per million tokens, written where picodollars per token are meant, would be a millionth of the price."""
    with pytest.raises(ValueError, match=r"whole picodollars per token, 0 or more; Rates.per_million"):
        Rates(**{"input": 1, "output": 1} | wrong)


@pytest.mark.parametrize("above", [-1, 1e6, True])
def test_a_tier_that_begins_at_no_number_of_tokens_is_refused(above: Any) -> None:
    with pytest.raises(ValueError, match="pass a whole number, 0 or more"):
        Tier(above_input_tokens=above, rates=FREE.rates)


@pytest.mark.parametrize("wrong", [-1, "2", None, float("nan"), True])
def test_a_price_per_million_that_makes_no_sense_is_refused(wrong: Any) -> None:
    """BUDGETS 20."""
    with pytest.raises(ValueError, match="pass a"):
        Price.per_million(input=wrong, output=1)


@pytest.mark.parametrize("fee", [-1, 0.01, True])
def test_a_fee_that_is_negative_or_no_whole_number_is_refused(fee: Any) -> None:
    with pytest.raises(ValueError, match="fee"):
        Price(rates=FREE.rates, per_request=fee)


@pytest.mark.parametrize("thresholds", [(2000, 1000), (1000, 1000)])
def test_tiers_out_of_order_are_refused(thresholds: tuple[int, ...]) -> None:
    tiers = tuple(Tier(above_input_tokens=threshold, rates=FREE.rates) for threshold in thresholds)
    with pytest.raises(ValueError, match="ascending"):
        Price(rates=FREE.rates, tiers=tiers)
