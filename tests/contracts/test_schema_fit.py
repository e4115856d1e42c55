"""Whether what one step returns is what another takes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractViolation
from stratum.contracts.expressions.fields import Shape
from stratum.contracts.registry import value_schema
from stratum.contracts.schema_fit import NoSuchField, field_at, misfit


@contract
class Small:
    x: int


@contract
class Wide:
    x: float
    y: list[str]


@contract
class Narrow:
    x: int
    y: list[str]
    z: dict[str, int] | None = None


@contract
class Chain:
    x: int
    next: Chain | None


@contract
class LongChain:
    x: float
    next: LongChain | None


def shape(annotation: Any) -> Shape:
    schema = value_schema(codec(annotation, owner="test", field=""))
    return Shape(schema, schema)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        *((int, int), (int, float), (int, int | None), (Literal["a"], str), (Literal["a"], Literal["a", "b"])),
        *((None, int | None), (int | str, str | int | None), (list[int], list[float]), (Small, Small)),
        *((dict[str, int], dict[str, float]), (list[Narrow], list[Narrow] | None), (Chain, LongChain)),
    ],
)
def test_what_always_fits(given: Any, taken: Any) -> None:
    assert misfit(shape(given), shape(taken)) == ""


@pytest.mark.parametrize(
    ("given", "taken", "reason"),
    [
        (str, int, "a string is not an integer"),
        (float, int, "a number is not an integer"),
        (bool, int, "a boolean is not an integer"),
        (int | None, int, "null is not an integer"),
        (float, int | str, "a number is none of an integer, a string"),
        (str, Literal["a"], "a string may be other than ['a']"),
        (Literal["a", "b"], Literal["a"], "it may be \"b\", which is not one of ['a']"),
        (list[str], list[int], "a string is not an integer"),
        (dict[str, str], dict[str, int], "a string is not an integer"),
        (Small, Wide, 'an object has no "y", which an object needs'),
        (Wide, Small, 'an object has "y", which an object does not take'),
        (list[Narrow], list[Wide], 'an object has "z", which an object does not take'),
        (LongChain, Chain, "x: a number is not an integer"),
        (Small | None, Small, "null is not an object"),
        (Small, list[Small], "an object is not a list"),
        (dict[str, int], Small, "an object may have any keys, and an object has its own"),
    ],
)
def test_what_may_not_fit_is_told(given: Any, taken: Any, reason: str) -> None:
    assert misfit(shape(given), shape(taken)) == reason


def test_nothing_is_said_of_what_is_not_known() -> None:
    anything = Shape({}, {})
    assert misfit(anything, shape(Small)) == misfit(shape(Small), anything) == ""


def test_a_definition_of_itself_is_no_endless_loop() -> None:
    circle: dict[str, Any] = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert misfit(Shape(circle, circle), shape(int)) == ""


TYPES = [int, float, str, bool, None, int | None, Literal["a", "b"], list[int], list[str | None], dict[str, int], Small]
VALUES = (
    st.integers(-3, 3)
    | st.sampled_from([0.5, 2.0, "a", "b", "c", True, None, {"x": 1}, {"k": 2}])
    | st.lists(st.sampled_from([1, "a", None]), max_size=2)
)


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), VALUES)
def test_a_value_of_a_type_that_fits_is_accepted(one: Any, other: Any, value: Any) -> None:
    """No value of the one is refused by the other where no misfit was found."""
    text = msgspec.json.encode(value)
    try:
        codec(one, owner="test", field="").decode_value(text)
    except ContractViolation:
        return
    if not misfit(shape(one), shape(other)):
        codec(other, owner="test", field="").decode_value(text)


@pytest.mark.parametrize(
    ("path", "kind"),
    [((), "object"), (("x",), "integer"), (("y",), "array"), (("y", "0"), "string"), (("z", "any"), "integer")],
)
def test_the_shape_of_a_part_is_found(path: tuple[str, ...], kind: str) -> None:
    part = field_at(shape(Narrow), path)
    assert part is not None
    assert part.resolved().schema["type"] == kind


@pytest.mark.parametrize(
    ("path", "problem", "fix"),
    [
        (("w",), 'there is no field "w"', "there are: x, y, z"),
        (("y", "first"), 'it is a list, which has no "first"', '".0"'),
        (("y", "-1"), 'it is a list, which has no "-1"', '".0"'),
        (("x", "y"), "an integer has no parts", "the whole of it"),
    ],
)
def test_a_part_that_cannot_be_there_is_told(path: tuple[str, ...], problem: str, fix: str) -> None:
    with pytest.raises(NoSuchField) as caught:
        field_at(shape(Narrow), path)
    assert caught.value.problem == problem
    assert fix in caught.value.fix


def test_parts_of_what_is_not_known_are_not_known() -> None:
    assert field_at(Shape({}, {}), ("a", "b")) is None
    assert field_at(shape(int | Small), ("x",)) is None
