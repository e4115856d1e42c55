"""YAML in and out: JSON's values, the core schema of YAML 1.2, and nothing that could surprise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.json_text import Unreadable
from stratum.contracts.plans.yaml_text import MAX_EVENTS, lines_of, read_yaml, write_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
AMBIGUOUS = st.sampled_from(
    [
        "no",
        "y",
        "on",
        "~",
        "null",
        "",
        "0o14",
        "0x1f",
        "1e3",
        "1_000",
        "12:30",
        "2026-01-01",
        "-",
        "- a",
        "a: b",
        "#x",
        " a",
    ]
    + ["a ", "a\n", "\na", "a\n b\n", "a\n\n", " \na", "a\r\nb", "a\u2028b", "\u0085", "\ufeff", "=", "<<", "!x", "&a"]
    + [
        "*a",
        "%a",
        "@",
        "`",
        "\t",
        "a\tb\n",
        '"',
        "'",
        ".inf",
        ".nan",
        ".5",
        "1.",
        "+1",
        "0b1",
        "|",
        ">",
        "?",
        "\x00",
        "\x7f",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | AMBIGUOUS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | AMBIGUOUS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_back_as_the_same(value: Any) -> None:
    assert read_yaml(write_yaml(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("~", None),
        ("-017", -17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        (".inf", float("inf")),
        ("'1'", "1"),
        ("<<", "<<"),
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("a:\n", {"a": None}),
        ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    read = read_yaml(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "it is empty"),
        ("   \n\n", 3, "it is empty"),
        ("# nothing\n", 2, "it is empty"),
        ("a: 1\nb: 2\na: 3\n", 3, 'the key "a" is there twice'),
        ("a: {b: 1, 'b': 2}", 1, 'the key "b" is there twice'),
        ("1: 2", 1, "the key 1 is not a string"),
        ("null: 2", 1, "the key null is not a string"),
        ("? [a]\n: 1", 1, "a key must be a string"),
        ("? {a: 1}\n: 1", 1, "a key must be a string"),
        ("a: 1\nb: &x 2\n", 2, "anchors and aliases"),
        ("a: &x [*x]", 1, "anchors and aliases"),
        ("&a a: 1", 1, "anchors and aliases"),
        ("a: *b", 1, "anchors and aliases"),
        ("a: !!python/object:os.system x", 1, 'tags such as "tag:yaml.org,2002:python/object:os.system"'),
        ("a: !x 1", 1, 'tags such as "!x"'),
        ("!!binary aGk=", 1, "tags such as"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins"),
        ("a: [1", 2, "it is not YAML: did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2", 2, "it is not YAML: found a tab character that violates indentation"),
        ('a: "\\q"', 1, "it is not YAML: found unknown escape character"),
        ("a: \x00", None, "it is not YAML: unacceptable character #x0000"),
        ("[" * 100_000, 1, "it is nested too deeply"),
        ("- " * 100_000, 1, "it is nested too deeply"),
        ("{a: " * 100_000, 1, "it is nested too deeply"),
        ("- x\n" * MAX_EVENTS, MAX_EVENTS - 1, "it has more than 100,000 parts"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_no_plan_may_hold_is_refused_with_its_line(text: str, line: int | None, problem: str) -> None:
    """CASES G1."""
    with pytest.raises(Unreadable) as caught:
        read_yaml(text)
    assert caught.value.problem.problem.startswith(problem)
    assert caught.value.problem.line == line
    assert caught.value.problem.fix


def test_several_lines_are_written_as_a_block() -> None:
    assert write_yaml({"goal": "one\ntwo"}) == "goal: |-\n  one\n  two\n"


def test_the_lines_of_members_are_found_in_yaml_and_json() -> None:
    paths = {"$.steps[1].id", "$.steps[1]", "$.goal", "$.nope", '$["a b"]'}
    yaml = "goal: x\nsteps:\n- id: '1'\n-\n  id: '2'\na b: 3\n"
    assert lines_of(yaml, paths) == {"$.goal": 1, "$.steps[1]": 5, "$.steps[1].id": 5, '$["a b"]': 6}
    json = '{"goal":\n "x",\n "steps": [{"id": "1"},\n  {\n   "id": "2"}]}'
    assert lines_of(json, paths) == {"$.goal": 1, "$.steps[1]": 4, "$.steps[1].id": 5}


def test_lines_are_found_as_far_as_a_broken_text_can_be_read() -> None:
    assert lines_of("a: 1\nb: [", {"$.a", "$.b"}) == {"$.a": 1, "$.b": 2}
