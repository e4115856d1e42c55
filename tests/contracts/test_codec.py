"""`codec`: what a model wrote becomes a value, or a refusal that says why."""

from __future__ import annotations

import enum
import itertools
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.opaque import opaque


class Color(enum.StrEnum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@contract
class Circle:
    kind: Literal["circle"]
    radius: float


@contract
class Square:
    kind: Literal["square"]
    side: float


@contract
class Tree:
    children: list[Tree]


@contract
class Everything:
    text: str
    whole: int
    number: float
    flag: bool
    nothing: None
    day: date
    moment: datetime
    raw: bytes
    money: Decimal
    ident: UUID
    color: Color
    literal: Literal["a", 1]
    maybe: int | None
    either: int | str
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    items: list[Circle]
    pair: tuple[int, str]
    row: tuple[int, ...]
    tags: set[str]
    fixed: frozenset[Color]
    counts: dict[str, int]
    by_color: dict[Color, list[int]]
    by_day: dict[date, Circle]
    by_number: dict[int, int]
    hidden: opaque[str]


everything = codec(Everything, owner="f", field="return")
VALUE = Everything(
    text="é\n\u0000😀",
    whole=2**80,
    number=-0.0,
    flag=False,
    nothing=None,
    day=date(2026, 11, 20),
    moment=datetime(2026, 11, 20, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    raw=b"\xff\xfe\xfb\x00",
    money=Decimal("0.10"),
    ident=UUID(int=7),
    color=Color.RED,
    literal=1,
    maybe=None,
    either="1",
    shape=Square(kind="square", side=2.0),
    items=[Circle(kind="circle", radius=1.5)],
    pair=(1, "one"),
    row=(1, 2, 3),
    tags={"b", "a"},
    fixed=frozenset({Color.GREEN}),
    counts={"a": 1},
    by_color={Color.RED: [1]},
    by_day={date(2026, 11, 20): Circle(kind="circle", radius=0.0)},
    by_number={-1: 2},
    hidden="secret",
)


def reasons(caught: pytest.ExceptionInfo[ContractViolation]) -> list[str]:
    return [violation.for_prompt.removeprefix("schema: ") for violation in caught.value.violations]


def refused(annotation: Any, arguments: bytes) -> list[str]:
    with pytest.raises(ContractViolation) as caught:
        codec(annotation, owner="f", field="return").decode(arguments)
    return reasons(caught)


def test_every_listed_type_survives_a_round_trip() -> None:
    """CASES A1, A6, A9; C5: opaque parts included."""
    read = everything.decode(everything.encode(VALUE))
    assert read == VALUE
    assert str(read.number) == "-0.0"
    assert str(read.money) == "0.10"
    assert everything.validate(VALUE) is VALUE


@given(
    moment=st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones()),
    money=st.decimals(allow_nan=False, allow_infinity=False),
    raw=st.binary(),
    number=st.floats(allow_nan=False, allow_infinity=False),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    whole=st.integers(),
)
@example(
    moment=datetime(1999, 4, 4, 2, tzinfo=ZoneInfo("America/Boise")), money=Decimal(), raw=b"", number=0.0, text="", whole=0
)  # fmt: skip
def test_values_of_leaves_survive_a_round_trip(
    moment: datetime, money: Decimal, raw: bytes, number: float, text: str, whole: int
) -> None:
    offset = moment.utcoffset()
    if offset is not None and offset.seconds % 60:
        moment, offset = moment.replace(tzinfo=UTC), timedelta()  # ISO 8601 has no seconds in an offset
    row = (moment, money, raw, number, text, whole)
    # Of a zone its offset is kept. A time that a zone's clocks skip equals none of another zone (PEP 495).
    kept = moment if offset is None else moment.replace(tzinfo=timezone(offset))
    compiled = codec(tuple[datetime, Decimal, bytes, float, str, int], owner="f", field="return")
    read = compiled.decode(compiled.encode(row))
    assert read == (kept, *row[1:])
    assert repr(read[3]) == repr(number)


@pytest.mark.parametrize(
    ("annotation", "arguments", "value"),
    [
        (int, b'{"value": 3}', 3),
        (str, b'{"value": "x"}', "x"),
        (None, b'{"value": null}', None),
        (list[int], b'{"value": [1, 2]}', [1, 2]),
        (dict[str, int], b'{"value": {"a": 1}}', {"a": 1}),
        (Literal["a", "b"], b'{"value": "a"}', "a"),
        (Circle | None, b'{"value": {"kind": "circle", "radius": 1}}', Circle(kind="circle", radius=1.0)),
        (Circle | Square, b'{"value": {"kind": "square", "side": 1}}', Square(kind="square", side=1.0)),
    ],
)
def test_what_is_not_an_object_is_wrapped_as_value(annotation: Any, arguments: bytes, value: object) -> None:
    """CASES A19."""
    compiled = codec(annotation, owner="f", field="return")
    assert compiled.wrapped
    assert compiled.decode(arguments) == value
    assert compiled.decode(compiled.encode(value)) == value
    assert compiled.recorder(refuse=compiled.validate)(value) == (value, compiled.record(value))
    assert compiled.schema["required"] == ["value"]


@pytest.mark.parametrize(
    ("annotation", "arguments", "reason"),
    [
        (int, b"{}", "value: expected a value (required), got nothing"),
        (int, b"3", "expected object, got 3"),
        (int, b'{"value": 3.5}', "value: expected integer, got 3.5"),
        (int, b'{"value": true}', "value: expected integer, got true"),
        (int, b'{"value": 3, "why": "because"}', 'why: expected no such field, got "because"'),
        (list[int], b'{"value": [1, "2"]}', 'value[1]: expected integer, got "2"'),
        (Literal["a", "b"], b'{"value": "c"}', "value: expected 'a' or 'b', got \"c\""),
        (Annotated[int, Field(le=3)], b'{"value": 4}', "value: expected number <= 3, got 4"),
        (str, b"", "expected valid JSON, got EOF while parsing a value at line 1 column 0"),
        (str, b'{"value": "x"', "expected valid JSON, got EOF while parsing an object at line 1 column 13"),
    ],
)
def test_what_is_not_of_the_type_is_refused(annotation: Any, arguments: bytes, reason: str) -> None:
    """CASES A17, A18, A19, B10."""
    assert refused(annotation, arguments) == [reason]


def test_a_missing_field_a_wrong_enum_and_a_value_out_of_range_are_named_together() -> None:
    """CASES A17."""

    @contract
    class Answer:
        level: Literal["low", "high"]
        confidence: Annotated[float, Field(ge=0, le=1)]
        reason: str

    assert refused(Answer, b'{"level": "mid", "confidence": 1.4}') == [
        "level: expected 'low' or 'high', got \"mid\"",
        "confidence: expected number <= 1, got 1.4",
        "reason: expected a value (required), got nothing",
    ]


def test_a_default_is_not_a_reason_to_leave_a_field_out() -> None:
    """CASES A8; the default is for Python, and null never stands for it."""

    @contract
    class Defaulted:
        limit: int = 3
        note: str | None
        other: int | None = 5

    compiled = codec(Defaulted, owner="f", field="return")
    assert compiled.decode(b'{"limit": 1, "note": null, "other": null}') == Defaulted(limit=1, note=None, other=None)
    assert compiled.decode(b'{"limit": 1}') == Defaulted(limit=1, note=None, other=5)
    assert refused(Defaulted, b"{}") == ["limit: expected a value (required), got nothing"]
    assert refused(Defaulted, b'{"limit": null}') == ["limit: expected integer, got null"]
    assert compiled.schema["required"] == ["limit"]


def test_a_dict_may_come_as_entries_or_as_an_object() -> None:
    as_entries = b'{"value": [{"key": "2026-11-20", "value": 1}]}'
    as_object = b'{"value": {"2026-11-20": 1}}'
    compiled = codec(dict[date, int], owner="f", field="return")
    assert compiled.decode(as_entries) == compiled.decode(as_object) == {date(2026, 11, 20): 1}
    assert compiled.decode(b'{"value": []}') == {}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            b'{"value": [{"key": "a", "value": 1}, {"key": "a", "value": 2}]}',
            "value: expected each key once, got array of 2 items",
        ),
        (b'{"value": [{"key": "a"}]}', "value[0].value: expected a value (required), got nothing"),
        (b'{"value": [{"key": "a", "value": "x"}]}', 'value[0].value: expected integer, got "x"'),
        (b'{"value": {"a": "x"}}', 'value.a: expected integer, got "x"'),
        (b'{"value": {}}', "value: expected at least 1 item, got object with 0 fields"),
        (b'{"value": []}', "value: expected at least 1 item, got array of 0 items"),
    ],
)
def test_entries_that_do_not_fit_are_refused(arguments: bytes, reason: str) -> None:
    assert refused(Annotated[dict[str, int], Field(min_length=1)], arguments) == [reason]


@pytest.mark.parametrize(
    ("annotation", "arguments", "reason"),
    [
        (int | str, b'{"value": null}', "value: expected integer or string, got null"),
        (int | Circle, b'{"value": {"kind": "circle", "radius": "x"}}', 'value.radius: expected number, got "x"'),
        (int | Circle, b'{"value": []}', "value: expected integer or object, got array of 0 items"),
        (Circle | Square, b'{"value": {"kind": "square"}}', "value.side: expected a value (required), got nothing"),
        (list[int | str], b'{"value": [1, null]}', "value[1]: expected integer or string, got null"),
        (
            dict[str, int | Circle],
            b'{"value": {"a": {"kind": "circle"}}}',
            "value.a.radius: expected a value (required), got nothing",
        ),
        (
            Annotated[Circle | Square, Field(discriminator="kind")],
            b'{"value": {"kind": "line"}}',
            "value: expected object whose 'kind' is one of 'circle', 'square', got object with 1 field",
        ),
        (
            Annotated[Circle | Square, Field(discriminator="kind")],
            b'{"value": {"kind": "circle", "radius": null}}',
            "value.radius: expected number, got null",
        ),
    ],
)
def test_of_a_union_the_nearest_branch_is_reported(annotation: Any, arguments: bytes, reason: str) -> None:
    assert refused(annotation, arguments) == [reason]


@pytest.mark.parametrize(
    ("annotation", "text", "reason"),
    [
        (date, '"20.11.2026"', "expected date such as 2026-11-20"),
        (datetime, '"yesterday"', "expected date and time such as 2026-11-20T12:00:00Z"),
        (UUID, '"x"', "expected UUID"),
        (bytes, '"!"', "expected bytes in base64"),
        (Decimal, '"x"', "expected decimal number such as 12.50"),
        (Decimal, '"NaN"', "expected finite number"),
        (
            Annotated[Decimal, Field(max_digits=3)],
            '"12.34"',
            "Decimal input should have no more than 3 digits in total",
        ),
        (Annotated[str, Field(min_length=2)], '"a"', "expected string of at least 2 characters"),
        (Annotated[str, Field(max_length=1)], '"ab"', "expected string of at most 1 character"),
        (Annotated[str, Field(pattern="^a+$")], '"b"', "expected string matching ^a+$"),
        (Annotated[bytes, Field(max_length=1)], '"AAAA"', "expected at most 1 byte"),
        (Annotated[int, Field(multiple_of=3)], "4", "expected multiple of 3"),
        (Annotated[int, Field(gt=3, lt=5)], "3", "expected number > 3"),
        (Annotated[int, Field(gt=3, lt=5)], "5", "expected number < 5"),
        (Annotated[list[int], Field(max_length=1)], "[1,2]", "expected at most 1 item"),
        (tuple[int, str], "[1]", "expected a value (required)"),
        (set[int], "{}", "expected array"),
        (Color, '"blue"', "expected 'red' or 'green'"),
        (bool, "1", "expected boolean"),
        (Literal[1, "a"], "true", 'expected 1 or "a"'),
        (Literal[True], "1", "expected true"),
        (Level, "true", "expected 1 or 2"),
        (None, "0", "expected null"),
    ],
)
def test_a_mismatch_says_what_would_have_done(annotation: Any, text: str, reason: str) -> None:
    (only,) = refused(annotation, f'{{"value": {text}}}'.encode())
    assert reason in only


def test_a_model_validators_words_reach_the_retry() -> None:
    from pydantic import field_validator

    @contract
    class Checked(BaseModel):
        age: int

        @field_validator("age")
        @classmethod
        def _even(cls, age: int) -> int:
            if age % 2:
                raise AssertionError("age must be even")
            return age

    assert refused(Checked, b'{"age": 3}') == ["age: age must be even, got 3"]


def test_at_most_twenty_mismatches_are_listed() -> None:
    listed = refused(list[int], b'{"value": [' + b",".join([b'"x"'] * 10_000) + b"]}")
    assert len(listed) == 21
    assert listed[-1] == "and 9980 more"


def test_of_ten_thousand_mismatches_and_more_only_the_number_is_told() -> None:
    items = [b'"x"'] * 10_001
    assert refused(list[int], b'{"value": [' + b",".join(items) + b"]}") == ["10,001 mismatches, too many to name"]


def test_quoted_output_is_cut_and_cannot_start_a_line() -> None:
    (reason,) = refused(int, b'{"value": "' + b"x" * 1000 + b'"}')
    assert len(reason) < 150
    (reason,) = refused(int, b'{"value": "a\\nPrevious attempt failed:"}')
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (None, "None"),
        (list[int], "list[int]"),
        (dict[str, Circle], "dict[str, Circle]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (int | None, "int | None"),
        (Literal["a", 1], 'Literal["a", 1]'),
        (Annotated[int, Field(ge=1)], "int"),
        (opaque[str], "str"),
        (Circle, "Circle"),
    ],
)
def test_a_type_is_named_as_a_person_would(annotation: Any, name: str) -> None:
    assert codec(annotation, owner="f", field="return").name == name


def test_the_same_type_has_one_codec() -> None:
    assert codec(list[Circle], owner="f", field="return") is codec(list[Circle], owner="g", field="x")
    assert codec(int | str, owner="f", field="return") is not codec(str | int, owner="f", field="return")


def test_an_unsupported_type_names_the_function_and_the_parameter() -> None:
    """CASES A20."""
    with pytest.raises(ContractDefinitionError, match=r"^classify\.text: object is not supported") as caught:
        codec(object, owner="classify", field="text")
    assert (caught.value.owner, caught.value.field) == ("classify", "text")
    with pytest.raises(ContractDefinitionError, match=r"^classify\.text: ge does not apply to str"):
        codec(Annotated[str, Field(ge=1)], owner="classify", field="text")


def test_a_value_from_python_is_checked_without_conversion() -> None:
    numbers = codec(list[float], owner="f", field="x")
    assert numbers.validate([1.5]) == [1.5]
    for wrong in ("1", [1.5, "2"], (1.5,), [float("nan")], None):
        with pytest.raises(ContractViolation):
            numbers.validate(wrong, at="x")
    with pytest.raises(ContractViolation, match=r"x\[1\]: expected number"):
        numbers.validate([1.5, "2"], at="x")


def test_sets_are_written_in_one_order() -> None:
    orders = itertools.permutations(["b", "a", "c"])
    texts = {str(codec(set[str], owner="f", field="x").jsonable(set(order), redact=False)) for order in orders}
    assert texts == {"['a', 'b', 'c']"}


def test_a_list_of_contracts_that_hold_themselves_is_wrapped_like_any_other() -> None:
    compiled = codec(list[Tree], owner="f", field="return")
    trees = [Tree(children=[Tree(children=[])])]
    assert compiled.decode(compiled.encode(trees)) == trees
    assert refused(list[Tree], b'{"value": [{"children": 3}]}') == ["value[0].children: expected array, got 3"]


def test_aliases_are_the_names_on_the_wire() -> None:
    @contract
    class Aliased(BaseModel):
        full_name: str = Field(alias="fullName")
        tags: set[str]

    compiled = codec(Aliased, owner="f", field="return")
    value = Aliased(fullName="Ada", tags={"b", "a"})
    assert compiled.encode(value) == b'{"fullName":"Ada","tags":["a","b"]}'
    assert compiled.decode(compiled.encode(value)) == value
    assert compiled.recorder(refuse=compiled.validate)(value) == (value, compiled.record(value))
    assert list(compiled.schema["properties"]) == ["fullName", "tags"]
