"""Money: exact integers inside, floats and Decimals at the edge."""

from __future__ import annotations

import decimal
import enum
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.money import LARGEST_USD, format_usd, limit_picousd, price_picousd, usd

PICO = Fraction(1, 10**12)

amounts = st.decimals(min_value=0, max_value=LARGEST_USD, allow_nan=False, allow_infinity=False)


class Cents(enum.IntEnum):
    FIVE = 5


class Reading(float):
    """As numpy's float64: a float with a repr of its own."""

    def __repr__(self) -> str:
        return f"Reading({float(self)})"


@given(amounts)
def test_limits_round_down_and_prices_up_by_less_than_a_picodollar(amount: Decimal) -> None:
    """BUDGETS, Unit."""
    exact = Fraction(amount)
    assert 0 <= exact - limit_picousd(amount) * PICO < PICO
    assert 0 <= price_picousd(amount) * PICO - exact < PICO


@given(st.integers(0, LARGEST_USD * 10**12))
def test_whole_picodollars_are_converted_exactly(picousd: int) -> None:
    amount = decimal.Context(prec=40).divide(Decimal(picousd), Decimal(10**12))
    assert limit_picousd(amount) == price_picousd(amount) == picousd


@given(st.floats(0, LARGEST_USD))
def test_a_float_means_its_shortest_decimal(amount: float) -> None:
    """BUDGETS, Unit: `Decimal(repr(x))`."""
    assert limit_picousd(amount) == limit_picousd(Decimal(repr(amount)))
    assert price_picousd(amount) == price_picousd(Decimal(repr(amount)))


def test_floats_add_up_in_picodollars() -> None:
    """BUDGETS 18, 19."""
    assert 3 * limit_picousd(0.1) == limit_picousd(0.3)
    assert 10 * limit_picousd(0.05) == limit_picousd(0.5)


@pytest.mark.parametrize("amount", [Reading(0.1), Decimal("0.1"), 0.1])
def test_a_tenth_is_a_tenth_however_it_is_written(amount: float) -> None:
    assert limit_picousd(amount) == price_picousd(amount) == 10**11


def test_an_enumerated_whole_number_of_dollars_is_a_number() -> None:
    assert limit_picousd(Cents.FIVE) == 5 * 10**12


def test_digits_beyond_the_usual_precision_still_round_the_right_way() -> None:
    """Not half even at 28 digits, which would make a limit larger than was asked for."""
    just_below = Decimal("0." + "9" * 60)
    assert limit_picousd(just_below) == 10**12 - 1
    just_above = Decimal("1." + "0" * 60 + "1")
    assert price_picousd(just_above) == 10**12 + 1


def test_the_callers_decimal_context_changes_nothing() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        context.traps[decimal.Inexact] = True
        context.traps[decimal.FloatOperation] = True
        assert limit_picousd(Decimal("1.23456")) == 1_234_560_000_000
        assert price_picousd(1.23456) == 1_234_560_000_000
        assert format_usd(1_234_560_000_000) == "1.235"


@pytest.mark.parametrize("amount", [Decimal("1e-999999"), Decimal("0.1") ** 500, 5e-324])
def test_a_vanishing_amount_is_nothing_as_a_limit_and_something_as_a_price(amount: Decimal) -> None:
    assert limit_picousd(amount) == 0
    assert price_picousd(amount) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        -1,
        -0.01,
        Decimal("-1e-30"),
        math.nan,
        math.inf,
        -math.inf,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("1e999999"),
        10**40,
        1e308,
        LARGEST_USD + 1,
        "abc",
        "1",
        True,
        False,
        None,
        1j,
        [1],
        Fraction(1, 3),
    ],
)
def test_what_is_not_an_amount_of_money_is_a_value_error_that_says_what_to_pass(wrong: Any) -> None:
    """BUDGETS 20."""
    for convert in (limit_picousd, price_picousd):
        with pytest.raises(ValueError, match="pass a"):
            convert(wrong)


def test_the_largest_amount_fits_a_64_bit_column() -> None:
    assert limit_picousd(LARGEST_USD) <= 2**63 - 1


@pytest.mark.parametrize(
    ("picousd", "text"),
    [
        (0, "0.000"),
        (37 * 10**9, "0.037"),
        (8_700_000_000, "0.009"),
        (2_500_000_000, "0.003"),
        (500_000_000, "0.001"),
        (499_999_999, "0.0005"),
        (120_000_000, "0.00012"),
        (40_000_000, "0.00004"),
        (1_500_000, "0.0000015"),
        (1, "0.000000000001"),
        (12_345_678_900_000_000, "12345.679"),
        (-37 * 10**9, "-0.037"),
        (-40_000_000, "-0.00004"),
        (2**63, "9223372.037"),
    ],
)
def test_amounts_are_written_with_three_decimals_or_as_many_as_show_something(picousd: int, text: str) -> None:
    assert format_usd(picousd) == text


@given(st.integers(1, 10**20))
def test_what_is_not_nothing_is_never_written_as_nothing(picousd: int) -> None:
    assert float(format_usd(picousd)) > 0
    assert abs(float(format_usd(picousd)) - picousd / 1e12) <= max(0.0005, 1e-15 * picousd)


@given(st.integers(0, 2**63))
def test_dollars_for_people_are_the_nearest_float(picousd: int) -> None:
    assert usd(picousd) == float(Fraction(picousd, 10**12))
