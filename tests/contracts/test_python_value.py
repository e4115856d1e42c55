"""What the journal gives back is what went in: equal, and of the same kind, where JSON alone would not say so."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import GenericAlias
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from stratum.contracts.codec import Codec, codec
from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.image import Image
from stratum.contracts.python_value import same, shown
from stratum.contracts.signature import Signature


class Colour(str, enum.Enum):
    RED = "red"


class Letter(enum.Enum):
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


@contract
class Point:
    x: int


@contract
class Place:
    x: int


@contract
class Spot(Point):
    y: int = 3


@contract
class Model(BaseModel):
    x: int = Field(alias="theX")


@contract
class Record(msgspec.Struct, frozen=True):
    x: int


@contract
class Noted:
    when: str | date
    model: Model | Record | None = None


class Plain(Point):
    """Not decorated."""


class Wider(Model):
    y: int = 1


class Moment(datetime):
    """As pandas and pendulum have one."""


class Day(date):
    """The same of a date."""


ID = UUID("12345678-1234-5678-1234-567812345678")
BERLIN = ZoneInfo("Europe/Berlin")


def of(annotation: Any) -> Codec[Any]:
    return codec(annotation, owner="test", field="return")


AMBIGUOUS: list[tuple[Any, Any]] = [
    (str | date, date(2026, 1, 1)),
    (date | str, "2026-01-01"),
    (str | datetime, datetime(2026, 1, 1, tzinfo=UTC)),
    (str | UUID, str(ID)),
    (bytes | str, "aGk="),
    (str | bytes, b"hi"),
    (Decimal | str, "1.5"),
    (str | Decimal, Decimal("1.50")),
    (str | Image, Image(url="https://example.org/a.png")),
    (Colour | str, Colour.RED),
    (str | Letter, Letter.A),
    (Number | int, Number.ONE),
    (Literal["a"] | Letter, Letter.A),
    (Literal["a", Letter.A], Letter.A),
    (Point | Place, Place(x=1)),
    (Place | Point, Point(x=1)),
    (dict[str, int] | Point, Point(x=1)),
    (Model | Record, Record(x=1)),
    (list[int] | tuple[int, ...], (1, 2)),
    (list[int] | set[int], {1, 2}),
    (set[int] | frozenset[int], frozenset({1})),
    (list[str] | list[date], [date(2026, 1, 1)]),
    (list[str | date], ["2026-01-01", date(2026, 1, 1)]),
    (set[str | date], {"2026-01-01", date(2026, 1, 1)}),
    (dict[int, int] | dict[str, int], {1: 1}),
    (dict[str, int] | dict[date, int], {date(2026, 1, 1): 1}),
    (Noted, Noted(when=date(2026, 1, 1), model=Model(theX=1))),
    (Point, Spot(x=1)),
    (list[Point], [Spot(x=1, y=2)]),
    (Point, Plain(x=1)),
    (datetime, datetime(2026, 3, 28, 12, tzinfo=BERLIN)),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)),
    (datetime, datetime(2026, 1, 1, fold=1)),
    (datetime, datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=3601)))),
]
NAMES = [str(annotation) for annotation, _ in AMBIGUOUS]
"""Not the values: a set's order is another one in each process."""


@pytest.mark.parametrize(("annotation", "value"), AMBIGUOUS, ids=NAMES)
def test_what_json_alone_would_give_back_as_another_kind_is_kept(annotation: Any, value: Any) -> None:
    compiled = of(annotation)
    recorded = compiled.record(value)
    assert same(value, compiled.recall(recorded))
    assert compiled.recorder(refuse=compiled.validate)(value)[1] == recorded
    assert msgspec.json.encode(shown(recorded), order="sorted") == msgspec.json.encode(
        msgspec.json.decode(compiled.encode(value)), order="sorted"
    )


@pytest.mark.parametrize(("annotation", "value"), AMBIGUOUS, ids=NAMES)
def test_an_argument_is_kept_likewise_and_its_digest_is_that_of_its_json(annotation: Any, value: Any) -> None:
    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    signature: Signature[None] = Signature.of(function)
    encoded = signature.encode({"x": value})
    assert same(value, signature.decode(encoded)["x"])
    assert shown(encoded) == {
        "x": msgspec.json.decode(msgspec.json.encode(of(annotation).jsonable(value, redact=False)))
    }
    assert signature.digest({"x": value}) == signature.digest(signature.decode(encoded))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str | date, "2026-01-01"),
        (int | float, 1),
        (int | float, 1.0),
        (date | datetime, date(2026, 1, 1)),
        (date | datetime, datetime(2026, 1, 1)),
        (Decimal | float, Decimal("1.5")),
        (datetime, datetime(2026, 1, 1, tzinfo=UTC)),
        (datetime, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))),
        (Point | Place, Point(x=1)),
    ],
    ids=repr,
)
def test_what_json_tells_apart_is_recorded_as_json_alone(annotation: Any, value: Any) -> None:
    compiled = of(annotation)
    assert compiled.record(value) == compiled.encode(value)
    assert same(value, compiled.recall(compiled.record(value)))


def test_what_an_older_version_recorded_is_read_as_it_was() -> None:
    assert of(date | str).recall(b'{"value":"2026-01-01"}') == date(2026, 1, 1)


def test_a_text_that_holds_the_name_of_the_member_is_a_text() -> None:
    compiled = of(dict[str, int] | dict[date, int])
    value = {"$python": 1}
    assert compiled.recall(compiled.record(value)) == value


def test_a_class_that_is_gone_leaves_what_its_json_says() -> None:
    gone = of(Point | Place).record(Place(x=1)).replace(b'["Place"', b'["Gone"')
    assert of(Point | Place).recall(gone) == Point(x=1)
    assert of(datetime).recall(b'{"value":"2026-03-28T12:00:00+01:00","$python":["datetime",["2026","No/Where",0]]}')


def test_a_model_cannot_write_the_tagged_form() -> None:
    with pytest.raises(ContractViolation, match=r"\$python"):
        of(date | str).decode(b'{"value":"2026-01-01","$python":"2026-01-01"}')


@pytest.mark.parametrize("value", [Moment(2026, 1, 1, 12), Moment(2026, 1, 1, 12, tzinfo=BERLIN), Day(2026, 1, 1)])
def test_a_time_of_a_subclass_comes_back_as_pythons_own(value: Any) -> None:
    compiled = of(datetime if isinstance(value, Moment) else date)
    assert compiled.recall(compiled.record(value)) == value
    assert compiled.jsonable(value, redact=True) == value.isoformat()


def test_a_model_derived_from_a_contract_without_being_one_is_refused_before_it_is_recorded() -> None:
    with pytest.raises(ContractViolation, match="expected a contract, got Wider.*@contract"):
        of(Model).record(Wider(theX=1))


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (Literal[Letter.A], Letter.A, b'{"value":"a"}'),
        (Literal[Letter.A, "b"], "b", b'{"value":"b"}'),
        (Literal[Number.ONE], Number.ONE, b'{"value":1}'),
    ],
)
def test_a_literal_of_an_enum_member_is_read_from_its_value(annotation: Any, value: Any, text: bytes) -> None:
    assert of(annotation).encode(value) == text
    assert of(annotation).decode(text) is value
    for wrong in (b'{"value":"z"}', b'{"value":true}', b'{"value":[]}'):
        with pytest.raises(ContractViolation, match="expected '?[a1]"):
            of(annotation).decode(wrong)


LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (
        str,
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
        | st.sampled_from(["2026-01-01", "1", str(ID), "aGk="]),
    ),
    (int, st.integers()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (type(None), st.none()),
    (date, st.dates()),
    (datetime, st.datetimes(timezones=st.none() | st.sampled_from([UTC, BERLIN, timezone(timedelta(minutes=90))]))),
    (bytes, st.binary(max_size=4)),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (Letter, st.sampled_from(Letter)),
    (Number, st.sampled_from(Number)),
    (Point, st.builds(Point, x=st.integers())),
    (Place, st.builds(Place, x=st.integers())),
    (Model, st.builds(Model, theX=st.integers())),
    (Record, st.builds(Record, x=st.integers())),
]

Typed = tuple[Any, st.SearchStrategy[Any]]


def listed(items: Typed) -> Typed:
    return GenericAlias(list, (items[0],)), st.lists(items[1], max_size=3)


def row(items: Typed) -> Typed:
    return GenericAlias(tuple, (items[0], ...)), st.lists(items[1], max_size=3).map(tuple)


def mapped(items: Typed) -> Typed:
    return GenericAlias(dict, (str, items[0])), st.dictionaries(st.sampled_from(["a", "2026-01-01"]), items[1])


def either(branches: list[Typed]) -> Typed:
    union = functools.reduce(lambda left, right: left | right, (branch[0] for branch in branches))
    return union, st.one_of([branch[1] for branch in branches])


SHAPES: list[Callable[[Typed], Typed]] = [listed, row, mapped]


def wider(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    shaped = st.sampled_from(SHAPES).flatmap(inner.map)
    return shaped | st.lists(inner, min_size=2, max_size=3).map(either)


TYPES: st.SearchStrategy[Typed] = st.recursive(st.sampled_from(LEAVES), wider, max_leaves=5)


@settings(max_examples=settings().max_examples // 2)
@given(st.data())
def test_whatever_a_type_accepts_comes_back_from_the_journal_equal_and_of_the_same_type(data: st.DataObject) -> None:
    annotation, values = data.draw(TYPES)
    try:
        compiled = of(annotation)
    except ContractDefinitionError as error:
        assert "cannot be told apart" in str(error)  # a dict beside a list
        return
    for value in data.draw(st.lists(values, min_size=1, max_size=5)):
        accepted = compiled.validate(value)
        assert same(accepted, compiled.recall(compiled.record(accepted)))
        assert compiled.recall(compiled.record(accepted)) == accepted
