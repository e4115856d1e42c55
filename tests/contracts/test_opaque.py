"""`opaque`: what reaches the model as an attachment only, and what a trace shows of it."""

from __future__ import annotations

import pickle
from datetime import datetime
from typing import Any, NewType, get_type_hints

import pytest
from typing_extensions import TypeAliasType

from stratum.contracts.codec import codec
from stratum.contracts.contract import contract
from stratum.contracts.opaque import OPAQUE, is_opaque, opaque


@contract
class Note:
    author: str
    body: opaque[str]


@contract
class Case:
    number: int
    lead: Note
    notes: list[Note]
    by_name: dict[str, Note]
    scan: opaque[bytes]
    seen: opaque[datetime | None]


NOTE = Note(author="Ada", body="a secret")
CASE = Case(
    number=1,
    lead=NOTE,
    notes=[NOTE, NOTE],
    by_name={"b": NOTE, "a": NOTE},
    scan=b"\xff",
    seen=datetime(2026, 11, 20, 12),
)


def test_an_opaque_string_is_a_string_with_a_marker() -> None:
    """CASES C1."""

    def f(text: opaque[str]) -> None: ...

    assert get_type_hints(f, include_extras=False)["text"] is str
    assert opaque[str].__metadata__ == (OPAQUE,)  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(OPAQUE)) is OPAQUE
    assert repr(OPAQUE) == "opaque"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (opaque[str], True),
        (opaque[list[Note]], True),
        (opaque[str] | None, True),
        (list[opaque[str]], True),
        (str, False),
        (Note, False),
        (list[Note], False),
    ],
)
def test_a_type_is_opaque_where_it_is_marked(annotation: Any, expected: bool) -> None:
    assert is_opaque(annotation) is expected
    assert codec(annotation, owner="f", field="x").opaque is expected


def test_opaque_fields_are_split_off_at_every_depth() -> None:
    """CASES C2, C4, C5."""
    inline, attached = codec(Case, owner="f", field="case").split_opaque(CASE)
    author = {"author": "Ada"}
    assert inline == {"number": 1, "lead": author, "notes": [author, author], "by_name": {"a": author, "b": author}}
    body = {"body": "a secret"}
    assert attached == {
        "lead": body,
        "notes": [body, body],
        "by_name": {"a": body, "b": body},
        "scan": "/w==",
        "seen": "2026-11-20T12:00:00",
    }


def test_an_opaque_parameter_is_attached_whole() -> None:
    """CASES C2, C5."""
    assert codec(opaque[Note], owner="f", field="note").split_opaque(NOTE) == (
        None,
        {"author": "Ada", "body": "a secret"},
    )


def test_where_nothing_is_opaque_nothing_is_attached() -> None:
    assert codec(list[int], owner="f", field="x").split_opaque([1, 2]) == ([1, 2], None)
    assert codec(list[Note], owner="f", field="x").split_opaque([]) == ([], None)


def test_a_trace_shows_opaque_parts_by_their_size() -> None:
    """CASES C6."""
    compiled = codec(Case, owner="f", field="case")
    shown = compiled.jsonable(CASE, redact=True)
    assert shown["lead"] == {"author": "Ada", "body": "[opaque, 10 bytes]"}
    assert shown["notes"][1]["body"] == "[opaque, 10 bytes]"
    assert shown["scan"] == "[opaque, 6 bytes]"
    assert "secret" not in str(shown)
    assert codec(opaque[str], owner="f", field="x").jsonable("a secret", redact=True) == "[opaque, 10 bytes]"


def test_unredacted_a_trace_shows_everything() -> None:
    """CASES C6."""
    shown = codec(Case, owner="f", field="case").jsonable(CASE, redact=False)
    assert shown["lead"] == {"author": "Ada", "body": "a secret"}
    assert shown["scan"] == "/w=="


def test_the_journal_keeps_opaque_parts() -> None:
    compiled = codec(Case, owner="f", field="case")
    assert compiled.decode(compiled.encode(CASE)) == CASE


Hidden = TypeAliasType("Hidden", opaque[str])
Again = TypeAliasType("Again", Hidden)
AsBefore = TypeAliasType("AsBefore", str)
Told = NewType("Told", opaque[str])


@pytest.mark.parametrize("annotation", [Hidden, Again, list[Hidden], Hidden | None, Told])
def test_an_alias_of_something_opaque_is_opaque(annotation: Any) -> None:
    """`type Hidden = opaque[str]` is how one writes it from Python 3.12 on."""
    assert codec(annotation, owner="f", field="x").opaque


def test_an_alias_of_something_else_is_not() -> None:
    assert not codec(AsBefore, owner="f", field="x").opaque


@contract
class Sealed:
    title: AsBefore
    body: Hidden


def test_a_field_of_such_a_type_goes_into_the_attachment_and_is_redacted() -> None:
    compiled = codec(Sealed, owner="f", field="x")
    value = Sealed(title="a title", body="a secret")
    assert compiled.split_opaque(value) == ({"title": "a title"}, {"body": "a secret"})
    assert compiled.jsonable(value, redact=True) == {"title": "a title", "body": "[opaque, 10 bytes]"}
