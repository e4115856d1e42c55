"""Published prices, compiled."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot, types
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.money import PICOUSD_PER_USD
from stratum.contracts.price import Price, Usage
from stratum.engine.pricing.published_price import price_of

CURRENT = (
    "gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-nano", "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5.4", "gpt-5.5",
    "gpt-5.6-luna", "gpt-5.6-sol", "gpt-6-luna", "gpt-6-sol", "gpt-6.1-sol", "gpt-6.1-terra", "o3", "o4-mini",
    "gpt-4o-mini-2024-07-18", "gpt-3.5-turbo",
)  # fmt: skip


def published(model: str, usage: Usage) -> Decimal:
    """The library's own calculation, in picodollars."""
    known: dict[str, Any] = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if usage.cached_tokens:
        known["cache_read_tokens"] = usage.cached_tokens
    if usage.cache_write_tokens:
        known["cache_write_tokens"] = usage.cache_write_tokens
    price = genai_prices.calc_price(genai_prices.Usage(**known), model, provider_id="openai")
    return price.total_price * PICOUSD_PER_USD


def price(model: str, *, provider: str = "openai") -> Price:
    found = price_of(model, provider=provider)
    assert found is not None
    return found


tokens = st.one_of(st.integers(0, 2000), st.sampled_from([271_999, 272_000, 272_001, 1_000_000]))


@given(model=st.sampled_from(CURRENT), fresh=tokens, cached=st.integers(0, 300_000), output=st.integers(0, 10_000))
def test_a_call_costs_what_the_price_list_says(model: str, fresh: int, cached: int, output: int) -> None:
    """Also beyond the thresholds of long context, and with part of the input cached."""
    usage = Usage(input_tokens=fresh + cached, cached_tokens=cached, output_tokens=output)
    assert price(model).cost(usage) == published(model, usage)


@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-5.6-luna"])
@pytest.mark.parametrize("input_tokens", [1000, 300_000])
def test_writing_to_the_cache_costs_what_the_price_list_says(model: str, input_tokens: int) -> None:
    usage = Usage(input_tokens=input_tokens, cache_write_tokens=500, output_tokens=10)
    assert price(model).cost(usage) == published(model, usage)


@given(model=st.sampled_from(CURRENT), fresh=tokens, cached=tokens, written=tokens, output=st.integers(0, 10_000))
def test_no_call_within_its_bounds_costs_more_than_its_worst_case(
    model: str, fresh: int, cached: int, written: int, output: int
) -> None:
    """BUDGETS I2."""
    usage = Usage(
        input_tokens=fresh + cached + written, cached_tokens=cached, cache_write_tokens=written, output_tokens=output
    )
    worst = price(model).worst_case(input_tokens=usage.input_tokens, output_tokens=output)
    assert price(model).cost(usage) <= worst
    assert worst <= price(model).worst_case(input_tokens=usage.input_tokens + 1, output_tokens=output + 1)


def test_long_context_reprices_the_whole_call() -> None:
    long, short = Usage(input_tokens=272_001, output_tokens=0), Usage(input_tokens=272_000, output_tokens=0)
    assert price("gpt-6.1-sol").cost(long) == 272_001 * 4_000_000
    assert price("gpt-6.1-sol").cost(short) == 272_000 * 2_000_000


def test_every_price_of_openai_is_whole_in_picodollars() -> None:
    """BUDGETS: some are not whole in nano-dollars."""
    for model in (m.id for p in data_snapshot.get_snapshot().providers if p.id == "openai" for m in p.models):
        usage = Usage(input_tokens=1, output_tokens=1)
        if price_of(model, provider="openai") is not None:
            assert price(model).cost(usage) >= published(model, usage)
    assert price("gpt-5-nano").rates.cached == 5000


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("no-such-model", "openai"),
        ("gpt-4o", "no-such-provider"),
        ("", "openai"),
        ("whisper-1", "openai"),
        ("tts-1", "openai"),
    ],
)
def test_what_has_no_price_of_text_in_and_out_has_no_price(model: str, provider: str) -> None:
    assert price_of(model, provider=provider) is None


def _snapshot(prices: list[types.ConditionalPrice] | types.ModelPrice) -> data_snapshot.DataSnapshot:
    model = types.ModelInfo(id="m", match=types.ClauseEquals(equals="m"), prices=prices)
    provider = types.Provider(id="p", name="P", api_pattern="https://p", models=[model])
    return data_snapshot.DataSnapshot(providers=[provider], from_auto_update=False)


def _mtok(input_usd: str, output_usd: str, **others: Decimal) -> types.ModelPrice:
    return types.ModelPrice(input_mtok=Decimal(input_usd), output_mtok=Decimal(output_usd), **others)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a price list of one model in the place of the published one."""

    def put(prices: list[types.ConditionalPrice] | types.ModelPrice) -> Price | None:
        monkeypatch.setattr(data_snapshot, "_custom_snapshot", _snapshot(prices))
        price_of.cache_clear()
        return price_of("m", provider="p")

    yield put
    price_of.cache_clear()


def test_of_prices_that_change_with_the_hour_the_dearest_counts(listed: Any) -> None:
    night = types.TimeOfDateConstraint(start_time=time(1, tzinfo=UTC), end_time=time(2, tzinfo=UTC))
    day = types.TimeOfDateConstraint(start_time=time(2, tzinfo=UTC), end_time=time(1, tzinfo=UTC))
    found = listed(
        [
            types.ConditionalPrice(night, prices=_mtok("1", "9", cache_read_mtok=Decimal("0.1"))),
            types.ConditionalPrice(day, prices=_mtok("2", "8")),
        ]
    )
    assert (found.rates.input, found.rates.output, found.rates.cached) == (2_000_000, 9_000_000, None)


def test_a_price_that_has_ended_is_forgotten_and_one_that_is_to_come_counts(listed: Any) -> None:
    past = types.StartDateConstraint(start_date=datetime(2020, 1, 1, tzinfo=UTC).date())
    future = types.StartDateConstraint(start_date=datetime(9000, 1, 1, tzinfo=UTC).date())
    found = listed(
        [
            types.ConditionalPrice(prices=_mtok("100", "100")),
            types.ConditionalPrice(past, prices=_mtok("1", "4")),
            types.ConditionalPrice(future, prices=_mtok("3", "2")),
        ]
    )
    assert (found.rates.input, found.rates.output) == (3_000_000, 4_000_000)


def test_tiers_of_input_and_output_may_begin_at_different_lengths(listed: Any) -> None:
    tiered = types.TieredPrices
    found = listed(
        types.ModelPrice(
            input_mtok=tiered(base=Decimal(1), tiers=[types.Tier(start=100, price=Decimal(2))]),
            output_mtok=tiered(base=Decimal(5), tiers=[types.Tier(start=200, price=Decimal(6))]),
            requests_kcount=Decimal("2.5"),
        )
    )
    tiers = [(tier.above_input_tokens, tier.rates.input, tier.rates.output) for tier in found.tiers]
    assert tiers == [(100, 2_000_000, 5_000_000), (200, 2_000_000, 6_000_000)]
    assert found.per_request == 2_500_000_000


def test_reasoning_billed_apart_counts_as_the_dearer_output(listed: Any) -> None:
    assert listed(_mtok("1", "2", output_reasoning_mtok=Decimal(3))).rates.output == 3_000_000
