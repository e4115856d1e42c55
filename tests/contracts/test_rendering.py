"""Values on one short line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from stratum.contracts.contract import contract
from stratum.contracts.opaque import OPAQUE, opaque
from stratum.contracts.rendering import MAX_VALUE, opaque_fields, plain_attribute, record_fields, show


class Level(Enum):
    LOW = "low"


@contract
class Source:
    title: str
    key: opaque[str]


class Packed(msgspec.Struct):
    size: int
    key: Annotated[str, OPAQUE] = "s3cr3t"


class Model(BaseModel):
    size: int
    key: opaque[str] | None = "s3cr3t"


@dataclass(slots=True)
class Slotted:
    size: int

    @property
    def doubled(self) -> int:
        raise AssertionError("never read")


class Raising:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.42, "0.42"),
        (None, "None"),
        (True, "True"),
        (10**59, "1" + "0" * 59),
        (10**5000, "<an integer of 5001 digits>"),
        (-(10**70), "<an integer of 71 digits>"),
        ("a\nb", "'a\\nb'"),
        ("x" * 500, "'" + "x" * 118 + "…"),
        (b"\x00", "b'\\x00'"),
        ([1, "a", None], "[1, 'a', None]"),
        (list(range(1000)), "[0, 1, 2, 3, 4, 5, … 994 more]"),
        ({"b", "a"}, "{'a', 'b'}"),
        (set(range(2000)), "{… 2,000 more}"),
        ({"k": [1]}, "{'k': [1]}"),
        ((1,), "(1)"),
        ([[[["deep"]]]], "[[[…]]]"),
        (Level.LOW, "<Level.LOW: 'low'>"),
        (Source(title="T", key="s3cr3t"), "Source(title='T', key=…)"),
        (Packed(size=1), "Packed(size=1, key=…)"),
        (Model(size=1), "Model(size=1, key=…)"),
        (Slotted(size=1), "Slotted(size=1)"),
        (object(), "<object>"),
        (Raising(), "<Raising, whose repr raises RuntimeError>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_shown(value: object, text: str) -> None:
    assert show(value) == text


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.builds(Raising)),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner), st.tuples(inner, inner)),
    )
)
def test_any_value_is_shown_within_the_limit_and_alike_each_time(value: object) -> None:
    assert len(show(value)) <= MAX_VALUE
    assert show(value) == show(value)


def test_opaque_fields_are_known_for_every_kind_of_class() -> None:
    """CASES C4."""
    assert [opaque_fields(cls) for cls in (Source, Packed, Model)] == [{"key"}] * 3
    assert opaque_fields(Slotted) == opaque_fields(int) == frozenset()


@pytest.mark.parametrize("value", [Packed(size=7), Model(size=7), Slotted(size=7)])
def test_a_declared_field_is_read(value: object) -> None:
    assert plain_attribute(value, "size") == 7
    assert "size" in (record_fields(type(value)) or ())


def test_a_class_whose_hints_cannot_be_read_marks_nothing() -> None:
    class Unread:
        __annotations__ = {"a": "Missing"}

    assert opaque_fields(Unread) == frozenset()


def test_what_would_run_code_or_show_an_opaque_value_is_not_read() -> None:
    class Watched:
        size: int

        def __getattribute__(self, name: str) -> Any:
            raise AssertionError("never called")

    watched = dataclass(Watched)
    for value, name in ((Slotted(size=1), "doubled"), (Packed(size=1), "key"), (object(), "size"), (Slotted(1), "x")):
        with pytest.raises(LookupError):
            plain_attribute(value, name)
    with pytest.raises(LookupError):
        plain_attribute(object.__new__(watched), "size")
