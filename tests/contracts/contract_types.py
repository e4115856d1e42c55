"""Random contracts, and JSON for them that is mostly right: what the properties of the codec are checked on.

JSON is made as text, not from Python values: much of what is hostile in it has no Python
value (`1e400`, a key written twice, half of a surrogate pair).
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from types import GenericAlias
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import jsonschema
from hypothesis import strategies as st
from pydantic import Field

from stratum.contracts.contract import contract

HOSTILE = [
    *("null", "true", "false", "0", "1", "-0", "-0.0", "1.0", "0.5", "1e2", "1E-2", "3", "42", "1e400", "-1e400"),
    *("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "9007199254740993", "18446744073709551616"),
    *("-9223372036854775809", "9" * 400, "1" + "0" * 4400, "0." + "3" * 60, "5e-324", "1e-400"),
    *('""', '"a"', '"low"', '"aa"', '"1"', '"NaN"', '"null"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\ud800"'),
    *(
        '"2026-11-20"',
        '"é"',
        '"e\\u0301"',
        '"\x01"',
        "'a'",
        "[]",
        "[null]",
        "[[]]",
        "{}",
        '{"": 0}',
        '{"a": 1, "a": 2}',
    ),
    *("", "[1,]", '{"value": 1}', "[" * 300 + "]" * 300, "[" * 10_000),
]


Member = tuple[str, str]


class Kind(NamedTuple):
    """A type, and JSON texts that it should accept."""

    annotation: Any
    texts: st.SearchStrategy[str]


def json_texts(values: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    def text(value: Any, ascii_only: bool) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    return st.builds(text, values, st.booleans())


def meets(value: object, schema: dict[str, Any]) -> bool:
    """As an independent validator of JSON Schema 2020-12 sees it."""
    validator: Any = jsonschema.Draft202012Validator(schema)
    return bool(validator.is_valid(value))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)

PLAIN = [
    Kind(str, json_texts(TEXT)),
    Kind(Annotated[str, Field(min_length=1, max_length=4)], json_texts(TEXT)),
    Kind(int, json_texts(st.integers())),
    Kind(Annotated[int, Field(ge=-3, lt=10)], json_texts(st.integers(-5, 12))),
    Kind(Annotated[int, Field(multiple_of=3)], json_texts(st.integers(-9, 9))),
    Kind(float, json_texts(st.floats(allow_nan=False, allow_infinity=False) | st.integers())),
    Kind(Annotated[float, Field(gt=0, le=1)], json_texts(st.floats(-1, 2))),
    Kind(bool, json_texts(st.booleans())),
    Kind(Literal["low", "high"], st.sampled_from(['"low"', '"high"', '"l\\u006fw"', '"mid"'])),
]
"""Leaves that msgspec decodes."""

OTHER = [
    Kind(date, json_texts(st.dates().map(date.isoformat))),
    Kind(datetime, json_texts(st.datetimes(timezones=st.sampled_from([None, UTC])).map(datetime.isoformat))),
    Kind(bytes, json_texts(st.sampled_from(["", "AA==", "//79", "__79"]))),
    Kind(Decimal, json_texts(st.decimals(allow_nan=False, allow_infinity=False).map(str))),
    Kind(UUID, json_texts(st.uuids().map(str))),
    Kind(Literal[1, "a"] | None, st.sampled_from(["1", '"a"', "null", "true"])),
    Kind(tuple[int, str], st.sampled_from(['[1, "a"]', "[1]", '["a", 1]'])),
    Kind(set[int], json_texts(st.lists(st.integers(0, 3), max_size=4))),
    Kind(Annotated[str, Field(pattern="^a+$")], st.sampled_from(['"aa"', '"b"', '"aa\\n"'])),
    Kind(dict[int, bool], st.sampled_from(['{"1": true}', '[{"key": 1, "value": false}]', '{"a": true}'])),
    Kind(int | str, json_texts(st.integers() | TEXT)),
]
"""Leaves that only pydantic decodes."""

_names = itertools.count(1)


def mixed(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Mostly right, sometimes anything."""
    return st.one_of(texts, texts, texts, texts, st.sampled_from(HOSTILE))


def listed(item: Kind) -> Kind:
    texts = st.lists(mixed(item.texts), max_size=3).map(lambda items: f"[{', '.join(items)}]")
    return Kind(GenericAlias(list, (item.annotation,)), texts)


def limited_list(item: Kind) -> Kind:
    return Kind(Annotated[listed(item).annotation, Field(min_length=1, max_length=2)], listed(item).texts)


def mapped(item: Kind) -> Kind:
    entries = st.lists(st.tuples(st.sampled_from(['"a"', '"b"', '"\\u0061"']), mixed(item.texts)), max_size=3)
    return Kind(GenericAlias(dict, (str, item.annotation)), entries.map(_object))


def optional(item: Kind) -> Kind:
    return Kind(item.annotation | None, item.texts | st.just("null"))


@st.composite
def contract_of(draw: st.DrawFn, leaves: st.SearchStrategy[Kind]) -> Kind:
    """A contract of one to four fields, some with a default, and objects for it."""
    fields = draw(st.lists(leaves, min_size=1, max_size=4))
    annotations = {f"f{number}": field.annotation for number, field in enumerate(fields)}
    cls = contract(type(f"C{next(_names)}", (), {"__annotations__": annotations}))
    members = st.tuples(*(_member(name, field) for name, field in zip(annotations, fields, strict=True))).map(list)
    odd = st.tuples(st.sampled_from(['"f0"', '"f9"', '""']), st.sampled_from(HOSTILE))
    return Kind(cls, st.one_of(members, members, members, st.builds(_with_odd, members, odd)).map(_object))


def _member(name: str, field: Kind) -> st.SearchStrategy[Member]:
    def member(text: str) -> Member:
        return f'"{name}"', text

    return mixed(field.texts).map(member)


def _with_odd(members: list[Member], odd: Member) -> list[Member]:
    """A member too much, or twice, and the first one last."""
    return [*members[1:], odd, members[0]]


def kinds(leaves: list[Kind]) -> st.SearchStrategy[Kind]:
    """Types of any shape over these leaves."""
    return st.recursive(
        st.sampled_from(leaves),
        lambda inner: st.one_of(
            inner.map(listed), inner.map(limited_list), inner.map(mapped), inner.map(optional), contract_of(inner)
        ),
        max_leaves=5,
    )


def _object(members: list[Member]) -> str:
    return "{" + ", ".join(f"{name}: {text}" for name, text in members) + "}"
