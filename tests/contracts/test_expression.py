"""The expression language: what it means, what it refuses, and that nothing gets out of it or hangs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from stratum.contracts.contract import contract
from stratum.contracts.errors import ExpressionError
from stratum.contracts.expressions.evidence import Evidence, EvidenceCall, EvidenceNeeded, Source
from stratum.contracts.expressions.expression import Expression, classify
from stratum.contracts.opaque import opaque
from stratum.contracts.violation import MAX_TEXT, Violation

RESULT = {
    "confidence": 0.42,
    "level": "low",
    "reason": "Too short.",
    "none": None,
    "items": [{"name": "a", "score": 3}, {"name": "b", "score": -1}],
    "scores": {"x": 1, "y": 2},
    "tags": ["p", "q"],
    "count": 7,
    "ok": True,
}
VALUES: dict[str, Any] = {
    "result": RESULT,
    "inputs": {"topic": "Too", "limit": 5},
    "steps": {"3": {"output": {"path": "a.py"}}, "design": {"output": [1, 2]}},
}


def value(text: str) -> Any:
    return Expression.compile(text).evaluate(VALUES)


def details(text: str, values: dict[str, Any] = VALUES) -> list[str]:
    violations = trio.run(Expression.compile(text).check, values)
    assert all(violation.kind == "ensure" and violation.condition == text for violation in violations)
    return [violation.detail for violation in violations]


def refused(text: str, **shapes: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        Expression.compile(text, shapes=shapes)
    return caught.value


# What it means


@pytest.mark.parametrize(
    "text",
    [
        "result.confidence < 0.5",
        "0 < result.confidence <= 0.42 < 1",
        "result.level in ['low', 'high'] and result.level not in {'x'}",
        "result.none is None and result.ok is True and result.confidence is not None",
        "not result.none or result.missing",
        "result['level'] == \"low\" and result.items[-1].name == 'b' and result.reason[:3] == inputs.topic",
        "steps['3'].output.path == 'a.py' and steps[3].output == {'path': 'a.py'} and steps.design.output[0] == 1",
        "len(result.items) == 2 and sum(i.score for i in result.items) == 2 and max(i.score for i in result.items) == 3",
        "min([3, 1, 2]) == 1 and min(3, 2) == 2 and max([], default=9) == 9 and abs(-2) == 2 and round(2.567, 1) == 2.6",
        "sorted(result.tags, reverse=True) == ['q', 'p'] and list('ab') == ['a', 'b'] and set(result.tags) == {'q', 'p'}",
        "all(i.score > -5 for i in result.items) and any(i.name == 'b' for i in result.items if i.score < 0)",
        "[i.name + '!' for i in result.items] == ['a!', 'b!'] and {k: v for k, v in result.scores.items()} == result.scores",
        "{t for t in result.tags} == {'p', 'q'} and [x for i in result.items for x in i.name] == ['a', 'b']",
        "[n for n, i in enumerate(result.items)] == [0, 1] and [a for a, b in zip(result.tags, [1, 2])] == result.tags",
        "'short' in result.reason and 'x' in result.scores and 1 in result.scores.values() and 'p' in set(result.tags)",
        "result.reason.lower().startswith('too') and result.reason.endswith(('.', '!')) and 'a,b'.split(',') == ['a', 'b']",
        "', '.join(result.tags) == 'p, q' and result.reason.replace('short', 'long') == 'Too long.'",
        "result.scores.get('z', 0) == 0 and result.scores.keys() == ['x', 'y'] and result.tags.count('p') == 1",
        "set(result.tags).issubset(['p', 'q', 'r']) and result.tags.index('q') == 1",
        "1 + 2 * 3 - 4 / 2 == 5 and 7 // 2 == 3 and 7 % 4 == 3 and 2 ** 10 == 1024 and [1] + [2] == [1, 2] and -(+1) == -1",
        "(1 if result.ok else 2) == 1 and str(3) == '3' and str('x') == 'x' and int('4') == 4 and float('0.5') == 0.5 and bool(1)",
        "matches(result.reason, '^Too\\s\\w+') and not matches(result.level, '\\d')",
        "result.reason\n  == 'Too short.'" if False else "(result.reason\n  == 'Too short.')",
    ],
)
def test_what_holds(text: str) -> None:
    assert value(text) is True
    assert details(text) == []


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("result.confidence > 0.7", "actual: 0.42"),
        ("result.ok and result.confidence > 0.7", "failed: result.confidence > 0.7, actual: 0.42"),
        ("len(result.items) >= inputs.limit", "actual: len(result.items) = 2, inputs.limit = 5"),
        ("all(i.score > 0 for i in result.items)", "failed at result.items[1]: i.score > 0, actual: -1"),
        ("result.level.upper() == 'HIGH'", "actual: 'LOW'"),
        ("matches(result.level, '^h')", "actual: result.level = 'low'"),
        ("result.confidence > 0.7 if result.ok else True", "failed: result.confidence > 0.7, actual: 0.42"),
        ("False", ""),
    ],
)
def test_a_violation_shows_what_failed_and_the_actual_values(text: str, detail: str) -> None:
    """CASES B6."""
    assert details(text) == [detail]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("result.missing > 1", "there is no field 'missing'; its fields are: confidence, level, reason, none"),
        ("result.none.name == ''", "null has no field 'name'; test that it is not None first"),
        ("result.level.name == ''", "a text has no field 'name'; read a field of an object"),
        ("result.items[9].name == ''", "there is no item 9; it has 2"),
        ("result.items['a'] == 1", "a list cannot be indexed by a text; index a list by a number, an object by a text"),
        ("result.level > 3", "a text and a number have no order; compare two numbers or two texts"),
        ("3 in result.level", "a number cannot be in a text; look for a text in it"),
        ("'a' in result.count", "nothing can be in a number; look in a list, a text or an object"),
        ("result.level * 3 == ''", "a text is not a number; compute with numbers"),
        ("result.count / 0 > 1", "division by zero; test for it first"),
        (
            "result.none.lower() == ''",
            "null has no method 'lower'; docs/expressions.md lists what an expression may contain",
        ),
        ("set(result.items) == {1}", "an object cannot be in a set; take one field of each item"),
        ("sorted(result.items) == []", "an item is an object; take one field of each item"),
        ("sum(result.tags) > 1", "a text cannot be added up; add up numbers"),
        ("[x for x in result.count] == []", "a number has no items; go through a list, a text or an object"),
        ("{i.score: 1 for i in result.items} == {}", "a number cannot be a key; use a text"),
        (
            "result.level != 'low' or result.tags != ['p', 'q']",
            "actual: result.level = 'low', result.tags = ['p', 'q']",
        ),
        ("[a for a, b in result.tags] == []", "an item is not 2 values; use one variable"),
        ("result.count[1:] == 1", "a number has no parts; take a part of a list or a text"),
        ("result.reason[::0] == ''", "slice step cannot be zero; test for it first"),
        ("int(result.level) > 1", "invalid literal for int() with base 10: 'low'; test for it first"),
        ("len(result.count) > 1", "object of type 'int' has no len(); test for it first"),
        ("result.items", "it is a list, not true or false; compare it with something"),
        ("result.none", "it is null, not true or false; compare it with something"),
        ("steps['9'].output == 1", "there is no field '9'; its fields are: 3, design"),
    ],
)
def test_what_cannot_be_evaluated_is_violated_and_says_why(text: str, detail: str) -> None:
    """CASES B9."""
    (found,) = details(text)
    assert found.startswith(detail)


def test_evaluating_says_where_it_went_wrong() -> None:
    with pytest.raises(ExpressionError) as caught:
        value("result.ok and result.missing.name == 1")
    assert caught.value.position == 22
    with pytest.raises(ExpressionError, match="'result' is not known here"):
        Expression.compile("result.ok").evaluate({"inputs": {}})


def test_contracts_are_read_like_their_json_and_opaque_fields_are_never_shown() -> None:
    """CASES C4."""

    @contract
    class Answer:
        score: float
        key: opaque[str]
        tags: set[str]

    values: dict[str, Any] = {"result": Answer(score=0.5, key="s3cr3t", tags={"b", "a"})}
    assert details("result.key == 's3cr3t' and result.tags == ['a', 'b']", values) == []
    assert details("result.key == 'x'", values) == [""]
    assert details("len(result.key) > 10", values) == [""]
    assert details("result.score > 1 and result.key == 'x'", values) == ["failed: result.score > 1, actual: 0.5"]
    assert "s3cr3t" not in details("result in []", values)[0]


def test_names_it_reads_are_known_before_it_runs() -> None:
    expression = Expression.compile("steps['3'].output.x > 1 and steps.a.output and command_succeeds('make', 'test')")
    assert expression.steps == {"3", "a"}
    assert expression.commands == (("make", "test"),)
    assert expression.evidence == {"command_succeeds"}


def test_an_expression_may_be_limited_to_some_names() -> None:
    with pytest.raises(ExpressionError, match="there is no 'result'; the names are: inputs, steps"):
        Expression.compile("result.ok", names=("inputs", "steps"))


# What the world says


async def test_evidence_is_asked_for_once_and_only_where_it_matters() -> None:
    asked: list[tuple[str, ...]] = []

    async def command(*argv: str) -> Evidence:
        asked.append(argv)
        await trio.lowlevel.checkpoint()
        return Evidence(holds=argv[0] == "true", detail=f"exit status 1: {argv[0]} failed")

    def exists(path: str) -> Evidence:
        asked.append((path,))
        return Evidence(holds=True)

    sources: dict[str, Source] = {"command_succeeds": command, "file_exists": exists}
    text = "file_exists(result.level) and command_succeeds('pytest', '-q') and command_succeeds('never')"
    violations = await Expression.compile(text).check(VALUES, sources)
    assert violations == [
        Violation(
            kind="ensure",
            condition=text,
            detail="failed: command_succeeds('pytest', '-q'); exit status 1: pytest failed",
        )
    ]
    assert asked == [("low",), ("pytest", "-q")]
    assert await Expression.compile("command_succeeds('true') and command_succeeds('true')").check({}, sources) == []
    assert asked[2:] == [("true",)]


async def test_every_file_of_a_list_can_be_asked_about() -> None:
    def exists(path: str) -> Evidence:
        return Evidence(holds=path != "b", detail=f"{path} does not exist")

    sources: dict[str, Source] = {"file_exists": exists}
    (violation,) = await Expression.compile("all(file_exists(i.name) for i in result.items)").check(VALUES, sources)
    assert violation.detail == "failed at result.items[1]: file_exists(i.name), actual: i.name = 'b'; b does not exist"


def always(path: str) -> Evidence:
    return Evidence(holds=True)


async def test_questions_are_limited_and_need_a_source() -> None:
    many: dict[str, Any] = {"result": [str(n) for n in range(200)]}
    sources: dict[str, Source] = {"file_exists": always}
    (violation,) = await Expression.compile("all(file_exists(p) for p in result)").check(many, sources)
    assert violation.detail.startswith("it asks more than 100 questions")
    (violation,) = await Expression.compile("file_exists('a')").check({})
    assert violation.detail.startswith("file_exists is not available here")
    (violation,) = await Expression.compile("file_exists(result.count)").check(VALUES, sources)
    assert violation.detail == 'file_exists takes texts, not a number; write file_exists("app.py")'


def test_evaluating_without_an_answer_says_what_is_needed() -> None:
    with pytest.raises(EvidenceNeeded) as caught:
        value("file_contains('a', 'b')")
    call = caught.value.call
    assert call == EvidenceCall("file_contains", ("a", "b"))
    assert Expression.compile("file_contains('a', 'b')").evaluate({}, {call: True}) is True


# Refused before it runs


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("result.ok &", None, "invalid syntax"),
        ("the result is fine", 5, 'write {judge: "..."} if it is plain English'),
        ("", 1, "judge"),
        ("result.ok and confidence > 1", 15, "there is no 'confidence'"),
        ("resul.ok", 1, "did you mean 'result'?"),
        ("result.ok == true", 14, "write True"),
        ("result.ok == null", 14, "write None"),
        ("result.__class__", 8, "names that begin with an underscore cannot be read"),
        ("result.ok._x", 11, "names that begin with an underscore cannot be read"),
        ("__import__('os')", 1, "there is no function '__import__'"),
        ("open('x')", 1, "there is no function 'open'"),
        ("leng(result.tags)", 1, "did you mean 'len'?"),
        ("result.tags.appendd(1)", 13, "there is no method 'appendd'"),
        ("result.level.lowr()", 14, "did you mean 'lower'?"),
        ("'{}'.format(1)", 6, "there is no method 'format'"),
        ("len", 1, "the function len is not called; write len(...)"),
        ("len(1, 2)", 1, "len: too many positional arguments"),
        ("len(result, x=1)", 1, "len: got an unexpected keyword argument 'x'"),
        ("len(**result)", 1, "** cannot be used here"),
        ("len(*result)", 5, "* cannot be used here"),
        ("{**result}", 1, "** cannot be used here"),
        ("result.level.lower(x=1)", 1, "methods take no keywords here"),
        ("(lambda: 1)()", 1, "only functions by name can be called"),
        ("lambda: 1", 1, "a lambda cannot be used here"),
        ("f'{result}'", 1, "an f-string cannot be used here"),
        ("(x := 1)", 2, "an assignment cannot be used here"),
        ("(x for x in result)", 1, "a loop without [ ] cannot be used here"),
        ("len(x for x in result)", 4, "a loop without [ ] cannot be used here"),
        ("(yield)", 2, "yield cannot be used here"),
        ("1j", 1, "`1j` cannot be used here"),
        ("b'x'", 1, "`b'x'` cannot be used here"),
        ("...", 1, "`...` cannot be used here"),
        ("1 << 99", 1, "this operator cannot be used here"),
        ("~1", 1, "~ cannot be used here"),
        ("result is inputs", 11, "`is` compares with None, True or False only"),
        ("steps", 1, 'write steps["3"].output'),
        ("steps[result.level].output", 7, "the id of a step must be written out"),
        ("[result for result in [1]]", 13, "'result' already means something"),
        ("[len for len in [1]]", 10, "'len' already means something"),
        ("[x for x in [1] for x in [2]]", 21, "'x' already means something"),
        ("[1 for x.y in [1]]", 8, "a loop's variable must be a name"),
        ("[x for x in [1]] == [x]", 22, "there is no 'x'"),
        ("matches(result.level, result.level)", 1, "a pattern that is written out"),
        ("matches(result.level, '(')", 23, "not a pattern: "),
        ("matches(result.level, '(?=a)')", 23, "look-around"),
        ("matches(result.level, '(a{999}){999}')", 23, "its counted repetitions come to more than 1,000"),
        (f"matches(result.level, '{'a' * 501}')", 23, "it is longer than 500 characters"),
        ("command_succeeds(result.level)", 18, "a command must be written out, since a person approves it"),
        ("command_succeeds()", 1, 'command_succeeds takes the words of a command; write command_succeeds("pytest", "-q")'),
        ("file_exists('a', 'b')", 1, "file_exists takes 1"),
        ("result.ok\0", 1, "null"),
        ("result == '\ud800'", 1, "surrogates"),
        ("result.ok" + " " * 2000 + "and 1", 1, "it is longer than 2,000 characters"),
        ("not " * 400 + "result", 401, "it is nested too deeply"),
        ("(" * 300 + ")" * 300, None, "judge"),
        ("é + ö", 1, "there is no 'é'"),
        ("['ü', x]", 7, "there is no 'x'"),
        ("(1,\n x)", 6, "there is no 'x'"),
        ("(1,\r\n x)", 7, "there is no 'x'"),
    ],
)  # fmt: skip
def test_what_the_language_does_not_have_is_refused_at_its_place(text: str, position: int | None, message: str) -> None:
    """CASES G12."""
    error = refused(text)
    assert message in str(error)
    assert position is None or error.position == position
    assert len(str(error)) < 1500 and "\n" not in str(error)


SCHEMA = {
    "$defs": {
        "Endless": {"$ref": "#/$defs/Endless"},
        "Item": {"type": "object", "properties": {"name": {"type": "string"}, "inner": {"$ref": "#/$defs/Item"}}},
    },
    "type": "object",
    "properties": {
        "confidence": {"type": "number"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        "worst": {"anyOf": [{"$ref": "#/$defs/Item"}, {"type": "null"}]},
        "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
        "scores": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Item"}},
        "open": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        "anything": {},
        "endless": {"$ref": "#/$defs/Endless"},
    },
    "additionalProperties": False,
}
STEPS = {"type": "object", "properties": {"3": {"type": "object", "properties": {"output": SCHEMA}}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("result.confidnce > 1", "there is no field 'confidnce'; did you mean 'confidence'?"),
        ("result['confidnce'] > 1", "there is no field 'confidnce'"),
        ("result.items[0].nam == ''", "there is no field 'nam'; did you mean 'name'?"),
        ("result.items[0].inner.inner.nam == ''", "there is no field 'nam'"),
        ("all(i.nam for i in result.items)", "there is no field 'nam'"),
        ("[i for i in result.items if i.nam]", "there is no field 'nam'"),
        ("result.worst.nam == ''", "there is no field 'nam'"),
        ("result.scores.x.nam == ''", "there is no field 'nam'"),
        ("result.confidence.value > 1", "a number has no field 'value'"),
        ("result.items.name == ''", "a list has no field 'name'"),
        ("result.worst.nam.lower() == ''", "there is no field 'nam'"),
        ("steps['3'].output.confidnce > 1", "there is no field 'confidnce'"),
        ("steps['4'].output.confidence > 1", "there is no field '4'; its fields are: 3"),
        ("steps['3'].result.confidence > 1", "there is no field 'result'; its fields are: output"),
    ],
)
def test_a_field_that_is_not_in_the_contract_is_refused(text: str, message: str) -> None:
    """CASES G12."""
    assert message in str(refused(text, result=SCHEMA, steps=STEPS))


@pytest.mark.parametrize(
    "text",
    [
        "result.items[0].inner.inner.name.lower() == ''",
        "result.worst.name == '' and result.scores.anything.name == '' and result.scores.get('x') is None",
        "result.open.b == 1 and result.anything.x.y == 1 and result.either == 1",
        "[k for k, i in enumerate(result.items)] == [] and [i.x for i in inputs.list] == []",
        "steps['3'].output.confidence > 1 and result.endless.x == 1",
    ],
)
def test_a_field_that_may_be_there_is_not_refused(text: str) -> None:
    Expression.compile(text, shapes={"result": SCHEMA, "steps": STEPS})


# Bombs


BIG: dict[str, Any] = {
    "result": {
        "text": "a" * 3_000_000,
        "list": list(range(30_000)),
        "nested": [list(range(100))] * 1000,
        "colliding": [n * (2**61 - 1) for n in range(30_000)],
        "words": ["word " * 20] * 5000,
    }
}


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("int('9')**9**9 > 1", "the power is too large"),
        ("(int('2')**4000) ** 2 > 1", "the power is too large"),
        ("int('2')**2000 * 2**2000 * 2**2000 > 1", "the number is too large"),
        ("round(5, -999999999) > 1", "it rounds to at most 20 digits"),
        ("int('-8') ** 0.5 > 1", "the root of a negative number"),
        ("int('9' + '99999') ** 5000 > 1", "the power is too large"),
        ("[x for x in result.list for y in result.list] == []", "it takes more than 200,000 steps"),
        ("[a for a in [1] if [b for b in result.list if [c for c in result.list]]] == []", "it takes more than 200,000 steps"),
        ("any(result.nested == result.nested and x < 0 for x in result.list)", "it takes more than 200,000 steps"),
        ("any(x in result.list and x < 0 for x in result.list)", "it takes more than 200,000 steps"),
        ("any(result.text.lower() == 'x' for x in result.list)", "it takes more than 200,000 steps"),
        ("any(('b' + result.text) in result.text for x in result.list)", "it builds a text of more than"),
        ("any('aaaaaaaaaaab' in result.text for x in result.list)", "it takes more than 200,000 steps"),
        ("any(matches(result.text, '(a|b)*a(a|b){20}c') for x in result.list)", "it takes more than 200,000 steps"),
        ("matches(result.text, '[ab]*a[ab]{200}c')", "it takes more than 200,000 steps"),
        ("any(x in s and x < 0 for s in [set(result.colliding[:4000])] for x in result.list)", "it takes more than"),
        ("result.text.replace('a', 'aaaaaaaaaa') == ''", "it builds a text of more than 1,000,000 characters"),
        ("result.text.join(result.words) == ''", "it builds a text of more than 1,000,000 characters"),
        ("''.join(result.words + result.words + result.words) == ''", "it builds a text of more than"),
        ("len(set(result.colliding)) > 1", "more than 5,000 items in a set or object"),
        ("len({str(x): x for x in result.colliding}) < 1", "more than 5,000 items in a set or object"),
        ("result.text.split('a') == []", "it takes more than 200,000 steps"),
        ("list(result.text) == []", "it takes more than 200,000 steps"),
        ("[result.list + result.list for x in result.list] == []", "it takes more than 200,000 steps"),
        ("str(result.nested) == ''", "a list has no text"),
        ("result.text.zfill(10) == ''", None),
        ("result.text % 3 == ''", "a text is not a number"),
        ("result.list * 99999 == []", "a list is not a number"),
    ],
)  # fmt: skip
def test_bombs_do_not_go_off(text: str, detail: str | None) -> None:
    if detail is None:
        refused(text)
        return
    assert details(text, BIG)[0].startswith(detail)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("9**9**9 > result", "the power is too large"),
        ("result > 1 / 0", "division by zero"),
        ("'a' * 10 == result", "a text is not a number"),
    ],
)
def test_arithmetic_on_constants_that_cannot_work_is_refused_when_it_is_read(text: str, problem: str) -> None:
    with pytest.raises(ExpressionError, match=problem):
        Expression.compile(text)


def test_an_explanation_is_bounded_too() -> None:
    slow = "sum(len(x) for x in result.words) > 0"
    (detail,) = details(f"{' and '.join([slow] * 10)} and False", {"result": {"words": ["a"] * 2000}})
    assert detail == ""


def test_catastrophic_patterns_are_decided() -> None:
    """CASES H45: patterns that hang a backtracking engine."""
    text = {"result": {"text": "a" * 20_000 + "!"}}
    for pattern in ("^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"):
        assert len(details(f"matches(result.text, '{pattern}')", text)) == 1


def test_values_nested_beyond_reason_are_no_reason_to_break() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    (detail,) = details("result == []", {"result": deep})
    assert detail.startswith("the values are nested too deeply")
    while deep:  # freed level by level: a C stack would overflow
        deep = deep[0]


# Fuzz

_PIECES = """result inputs steps .x .items .confidence ['3'] .output [0] [:2] ( ) [ ] { } , : == != < > <= in not and or is if
    else for i None True False 1 0 -1 9**9 'a' * ** + - / % // len( sum( all( any( matches( file_exists( .lower() .split(
    .join( .format( .__class__ lambda := ~ @ \\ # é ﬁ \u202e \ud800"""
_WORDS = st.sampled_from([*_PIECES.split(), "\0", "\n", " "])


@settings(max_examples=200)
@given(
    st.one_of(
        st.lists(_WORDS, max_size=25).map(" ".join), st.lists(_WORDS, max_size=25).map("".join), st.text(max_size=60)
    )
)
def test_no_text_raises_anything_but_the_typed_error(text: str) -> None:
    classify(text)
    try:
        expression = Expression.compile(text)
    except ExpressionError as error:
        assert 1 <= error.position <= len(text) + 1
        assert error.problem and error.fix
        return
    for violation in trio.run(expression.check, VALUES):
        assert isinstance(violation, Violation)
        assert len(violation.detail) <= MAX_TEXT and violation.for_prompt.isprintable()


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "==", "<", ">=", "in", "not in", "and", "or"])
    name = st.sampled_from(
        ["len", "sum", "min", "max", "sorted", "set", "list", "str", "int", "float", "abs", "any", "all"]
    )
    method = st.sampled_from(["lower", "split", "keys", "items", "values", "strip", "splitlines"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, binary, inner),
        st.builds("{}({})".format, name, inner),
        st.builds("{}.{}()".format, inner, method),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}[{}:{}]".format, inner, inner, inner),
        st.builds("[x for x in {} if {}]".format, inner, inner),
        st.builds("{}(x for x in {})".format, st.sampled_from(["sum", "all", "set"]), inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{{'k': {}, 'l': {}}}".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({}).join({})".format, inner, inner),
        st.builds("({}).replace({}, {})".format, inner, inner, inner),
        st.builds("round({}, {})".format, inner, inner),
        st.builds("zip({}, {})".format, inner, inner),
        st.builds("not {}".format, inner),
        st.builds("-{}".format, inner),
        st.builds("matches({}, '(a|b)*c')".format, inner),
    )


_LEAVES = st.sampled_from(
    [
        "result",
        "result.text",
        "result.list",
        "result.nested",
        "result.colliding",
        "result.words",
        "1",
        "-3",
        "2.5",
        "9",
        "''",
    ]
    + ["'a'", "None", "True", "[]", "{}", "1e308", "99999999999", "10 ** 400"]
)


@settings(max_examples=80)
@given(st.recursive(_LEAVES, _grown, max_leaves=12))
def test_every_expression_of_the_language_ends_on_hostile_values(text: str) -> None:
    try:
        expression = Expression.compile(text)
    except ExpressionError:
        return
    for violation in trio.run(expression.check, HOSTILE):
        assert violation.for_prompt.isprintable()


HOSTILE: dict[str, Any] = {
    "result": {
        "text": "ab\n\x00\u202e" * 2000,
        "list": [0, -1, 2**70, 0.0, float("inf"), float("nan"), True, None],
        "nested": [[[1, [2]]], {"a": {"b": []}}],
        "colliding": [n * (2**61 - 1) for n in range(500)],
        "words": ["", "a", "\ud800"],
    }
}


# Which kind a string is


@pytest.mark.parametrize(
    "text",
    [
        "result.ok",
        "len(x)",
        "a == b",
        "x < 3",
        "coverage >= 90",
        "1 + 1",
        "a - b",
        "the result is right",
        "all inputs are used",
        "every item (also the last) is named",
    ],
)
def test_what_looks_like_an_expression_is_one(text: str) -> None:
    assert classify(text) == "expression"


@pytest.mark.parametrize(
    "text",
    [
        "all tests pass, no type errors",
        "all routes covered, health checks excluded",
        "coverage is above 90% in read/write paths",
        "is up-to-date and not empty",
        "the results of stepsisters",
        "C++ compiles",
        "",
    ],
)
def test_everything_else_is_english(text: str) -> None:
    assert classify(text) == "english"


# The manual


def test_every_block_of_the_manual_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(block, scope)  # noqa: S102 - the page's own code
        assert capsys.readouterr().out.splitlines() == [
            said for said in re.findall(r"^\s+# (.*)$", block, re.MULTILINE)
        ]
    assert len(blocks) == 3


def test_the_manual_lists_every_function_and_method() -> None:
    from stratum.contracts.expressions.evidence import EXAMPLES
    from stratum.contracts.expressions.functions import FUNCTIONS, METHOD_NAMES

    page = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text()
    assert {name for name in {*FUNCTIONS, *METHOD_NAMES, *EXAMPLES} if not re.search(rf"\b{name}\b", page)} == set()
