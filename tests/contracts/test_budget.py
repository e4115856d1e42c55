"""`Budget`: limits that make sense, and nothing else."""

from __future__ import annotations

import copy
import math
import pickle
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from stratum.contracts.budget import Budget


def test_a_budget_gives_its_limits_in_the_units_that_are_counted() -> None:
    budget = Budget(ms=1500, usd=0.50, tokens=1000)
    assert (budget.seconds, budget.picousd, budget.tokens) == (1.5, 5 * 10**11, 1000)
    assert budget.limits == {"usd": 5 * 10**11, "tokens": 1000, "ms": 1500}


def test_an_axis_that_is_not_named_has_no_limit() -> None:
    """CASES D7."""
    budget = Budget()
    assert (budget.seconds, budget.picousd, budget.tokens) == (math.inf, None, None)
    assert budget.limits == {}
    assert budget.on_exhaustion == "cancel"


def test_nothing_to_spend_is_a_limit() -> None:
    """BUDGETS 21."""
    assert Budget(usd=0).limits == {"usd": 0}
    assert Budget(tokens=0).limits == {"tokens": 0}


def test_a_limit_is_never_larger_than_was_asked_for() -> None:
    """BUDGETS, Unit: limits round down."""
    assert Budget(usd=Decimal("0.9999999999999999")).picousd == 10**12 - 1


def test_part_of_a_millisecond_is_not_recorded_as_none_at_all() -> None:
    assert Budget(ms=0.4).limits == {"ms": 1}


@pytest.mark.parametrize("usd", [-1, math.nan, math.inf, "abc", True, 10**9])
def test_an_amount_of_money_that_makes_no_sense_is_refused(usd: Any) -> None:
    """BUDGETS 20."""
    with pytest.raises(ValueError, match="pass a"):
        Budget(usd=usd)


@pytest.mark.parametrize("ms", [0, -1, math.nan, math.inf, 10**400, True, "1", Decimal(1)])
def test_a_time_that_makes_no_sense_is_refused(ms: Any) -> None:
    """CASES G23."""
    with pytest.raises(ValueError, match=r"Budget\(ms=.*: pass a number"):
        Budget(ms=ms)


@pytest.mark.parametrize("tokens", [-1, 1.5, 10.0, math.nan, True, "1", 2**63])
def test_a_number_of_tokens_that_makes_no_sense_is_refused(tokens: Any) -> None:
    with pytest.raises(ValueError, match=r"Budget\(tokens=.*: pass a whole number"):
        Budget(tokens=tokens)


def test_there_are_two_things_to_do_on_exhaustion() -> None:
    assert Budget(on_exhaustion="drain").on_exhaustion == "drain"
    with pytest.raises(ValueError, match="'cancel' or 'drain'"):
        Budget(on_exhaustion="explode")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_budget_is_a_value() -> None:
    budget = Budget(ms=1, usd=Decimal("0.1"), tokens=2, on_exhaustion="drain")
    assert budget == pickle.loads(pickle.dumps(budget)) == copy.deepcopy(budget)
    with pytest.raises(AttributeError):
        budget.usd = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        Budget(100)  # type: ignore[call-arg, misc]  # pyright: ignore[reportCallIssue]


def test_a_budget_from_outside_is_checked_too() -> None:
    """CASES G23: a plan's budget comes as JSON."""
    assert msgspec.json.decode(b'{"ms": 120000, "usd": 0.5}', type=Budget) == Budget(ms=120000, usd=0.5)
    for wrong in (b'{"ms": 0}', b'{"usd": -1}', b'{"usd": 1e999}', b'{"tokens": 1.5}', b'{"seconds": 1}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(wrong, type=Budget)


def test_numbers_of_other_classes_are_written_as_numbers() -> None:
    """numpy's float64 is a float, and an IntEnum's member an int; a plan with one could not be proposed."""

    class Float64(float): ...

    class Count(int): ...

    budget = Budget(ms=Count(5), usd=Float64(0.1), tokens=Count(7))
    assert msgspec.json.encode(budget) == b'{"ms":5,"usd":0.1,"tokens":7}'
    assert {type(limit) for limit in budget.limits.values()} == {int}
