"""References in a plan's values."""

from __future__ import annotations

from typing import Any

import pytest

from stratum.contracts.reference import Reference, follow, read_reference, references, substitute


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("$.input.city", Reference("", ("city",))),
        ("$.input", Reference("", ())),
        ("$.steps.2.output", Reference("2", ())),
        ("$.steps.read-it.output.routes.0.path", Reference("read-it", ("routes", "0", "path"))),
    ],
)
def test_references_are_read(text: str, reference: Reference) -> None:
    assert read_reference(text, path="$") == reference


def test_references_are_found_wherever_they_stand() -> None:
    value = {"a": "$.input.x", "b": ["plain", {"c d": "$.steps.1.output"}], "e": "$$.input", "f": 3, "g": "a $.input.x"}
    assert dict(references(value, path="$.v")) == {
        "$.v.a": Reference("", ("x",)),
        '$.v.b[1]["c d"]': Reference("1", ()),
    }


def test_references_are_replaced_and_escapes_undone() -> None:
    value = {"a": "$.input.x", "b": ["$.steps.1.output.k", "$$.input", "$5"], "c": 1}
    values: dict[Reference, Any] = {Reference("", ("x",)): [1], Reference("1", ("k",)): None}
    assert substitute(value, values.__getitem__) == {"a": [1], "b": [None, "$.input", "$5"], "c": 1}


@pytest.mark.parametrize(
    ("value", "path", "part"),
    [
        ({"a": [{"b": 1}]}, ("a", "0", "b"), 1),
        ({"0": "x"}, ("0",), "x"),
        ({"a": None}, ("a", "b", "c"), None),
        (None, ("a",), None),
        (5, (), 5),
    ],
)
def test_a_path_is_followed(value: Any, path: tuple[str, ...], part: Any) -> None:
    """CASES H15: what lies within null, such as a skipped step's output, is null."""
    assert follow(value, path) == part


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": 1}, ("b",)),
        ([1], ("1",)),
        ([1], ("-1",)),
        ([1], ("x",)),
        ([1], ("9" * 5000,)),
        (3, ("a",)),
        ("abc", ("0",)),
    ],
)
def test_a_path_to_nothing_is_an_error(value: Any, path: tuple[str, ...]) -> None:
    with pytest.raises(LookupError):
        follow(value, path)
