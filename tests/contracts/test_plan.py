"""`ExecutionPlan`: one form for one meaning, and a digest that an approval can be bound to."""

from __future__ import annotations

import hashlib
import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.budget import Budget
from stratum.contracts.errors import PlanError
from stratum.contracts.plans.plan import Command, Ensure, Estimate, ExecutionPlan, Gate, Step
from stratum.contracts.plans.text import read_plan, to_json, to_yaml
from stratum.contracts.shape import is_dict, is_sequence

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = st.text(string.ascii_letters, min_size=1, max_size=8)
LITERAL: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ENSURE = (
    st.builds(Ensure, expr=NAME)
    | st.builds(Ensure, judge=NAME)
    | st.builds(Ensure, command=st.lists(TEXT, min_size=1, max_size=3).map(tuple))
)
STEP = st.builds(
    Step,
    id=NAME,
    fn=TEXT,
    kind=st.sampled_from(["infer", "compute", "agent", None]),
    intent=TEXT,
    inputs=st.dictionaries(TEXT, LITERAL, max_size=3),
    output=NAME | st.fixed_dictionaries({"type": st.just("string")}),
    depends_on=st.lists(NAME, max_size=3).map(tuple),
    ensure=st.lists(ENSURE, max_size=3).map(tuple),
    retries=st.none() | st.integers(0, 100),
    budget=st.none() | st.builds(Budget, usd=st.floats(0, 10) | st.integers(0, 10) | st.decimals(0, 10), tokens=st.integers(0, 10**6)),
    repair=NAME,
    command=st.none() | st.builds(Command, argv=st.lists(TEXT, min_size=1, max_size=3).map(tuple), env=st.dictionaries(NAME, TEXT)),
    model=TEXT | st.lists(NAME, min_size=1, max_size=3).map(tuple),
    gate=st.none() | st.builds(Gate, timeout_s=st.floats(1, 10) | st.integers(1, 10)),
)  # fmt: skip
PLAN = st.builds(
    ExecutionPlan,
    goal=TEXT,
    steps=st.lists(STEP, max_size=4).map(tuple),
    input=st.dictionaries(NAME, NAME, max_size=2),
    budget=st.none() | st.builds(Budget, ms=st.floats(1, 10**6) | st.integers(1, 10**6)),
    fail_fast=st.booleans(),
    estimate=st.none() | st.builds(Estimate, calls=st.integers(0, 9), picousd=st.integers(0, 10**12)),
)


@given(PLAN)
def test_a_plan_is_read_back_from_its_json_and_its_yaml(plan: ExecutionPlan) -> None:
    assert read_plan(to_json(plan)) == plan
    assert read_plan(to_yaml(plan), format="yaml") == plan
    assert (
        read_plan(to_json(plan), format="json").digest == read_plan(to_yaml(plan), format="yaml").digest == plan.digest
    )


@given(PLAN, st.randoms())
def test_the_digest_ignores_key_order_and_formatting(plan: ExecutionPlan, draw: Any) -> None:
    def shuffled(value: Any) -> Any:
        if is_dict(value):
            items = [(key, shuffled(item)) for key, item in value.items()]
            draw.shuffle(items)
            return dict(items)
        return [shuffled(item) for item in value] if is_sequence(value) else value

    document = shuffled(json.loads(to_json(plan)))
    text = json.dumps(document, indent=draw.choice([None, 1, 7]), ensure_ascii=draw.choice([True, False]))
    assert read_plan(text).digest == plan.digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"ensure": "all tests pass"}, {"ensure": ["all tests pass"]}),
        ({"ensure": "all tests pass"}, {"ensure": {"judge": "all tests pass"}}),
        ({"ensure": "result.n > 1"}, {"ensure": [{"expr": "result.n > 1"}]}),
        ({"command": ["ls"]}, {"command": {"argv": ["ls"]}}),
        ({"command": ["ls"]}, {"command": {"argv": ["ls"], "cwd": "", "env": {}, "shell": False}}),
        ({"retries": None, "inputs": {}}, {}),
    ],
)
def test_two_ways_to_write_the_same_have_one_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    plans = [read_plan(json.dumps({"steps": [{"id": "1", "fn": "x", **keys}]})) for keys in (one, other)]
    assert plans[0] == plans[1]
    assert plans[0].digest == plans[1].digest


@pytest.mark.parametrize(
    "change",
    [
        {"fn": "y"},
        {"intent": "more"},
        {"inputs": {"a": 1}},
        {"inputs": {"a": 1.5}},
        {"ensure": "ok"},
        {"retries": 0},
        {"budget": {"usd": 1}},
        {"command": ["x"]},
        {"command": {"argv": ["x"], "shell": True}},
        {"model": "gpt-4o"},
        {"service_tier": "flex"},
        {"when": "inputs.a == 1"},
    ],
)
def test_whatever_changes_what_is_done_changes_the_digest(change: dict[str, Any]) -> None:
    """CASES H38."""
    step: dict[str, Any] = {"id": "1", "fn": "x", "inputs": {"a": 2}}
    before, after = (read_plan(json.dumps({"steps": [each]})) for each in (step, step | change))
    assert before.digest != after.digest


def test_the_digest_is_the_sha_256_of_sorted_json_without_defaults() -> None:
    plan = ExecutionPlan(goal="é", steps=(Step(id="1", fn="x", ensure=(Ensure(judge="ok"),)),))
    text = rb'{"goal":"\u00e9","steps":[{"ensure":[{"judge":"ok"}],"fn":"x","id":"1"}]}'
    assert plan.digest == hashlib.sha256(text).hexdigest()


def test_the_estimate_is_no_part_of_what_is_approved() -> None:
    plan = ExecutionPlan(steps=(Step(id="1", fn="x"),))
    assert msgspec.structs.replace(plan, estimate=Estimate(calls=9, picousd=9)).digest == plan.digest


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("all tests pass, no type errors", "judge"),
        ("all routes covered, health checks excluded", "judge"),
        ("up-to-date and read/write", "judge"),
        ("result.confidence > 0.75", "expression"),
        ("file_exists('a')", "expression"),
        ("coverage >= 80", "expression"),
    ],
)
def test_a_plain_ensure_is_an_expression_if_it_looks_like_one(text: str, form: str) -> None:
    step = read_plan(json.dumps({"steps": [{"id": "1", "fn": "x", "ensure": text}]})).steps[0]
    assert [condition.form for condition in step.conditions] == [form]
    assert step.conditions[0].text == text


def test_a_command_condition_reads_as_it_would_be_typed() -> None:
    assert Ensure(command=("pytest", "-k", "a b")).text == "pytest -k 'a b'"
    assert Ensure(command=("pytest",)).form == "command"


def test_a_byte_order_mark_is_no_part_of_a_plan() -> None:
    text = '{"steps": [{"id": "1", "fn": "x"}]}'
    assert read_plan(b"\xef\xbb\xbf" + text.encode()) == read_plan("\ufeff" + text) == read_plan(text)


@pytest.mark.parametrize(("text", "problem"), [(b"\xff", "byte 0 is not UTF-8"), ("a\ud800", "character 1 is half")])
def test_a_text_that_is_not_unicode_is_refused(text: str | bytes, problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        read_plan(text)


def test_reading_alone_tells_what_is_wrong_with_the_form() -> None:
    with pytest.raises(PlanError) as caught:
        read_plan('{"steps": [{"id": 1}, {"idd": "2"}]}')
    assert [problem.path for problem in caught.value.problems] == ["$.steps[0].id", "$.steps[1]", "$.steps[1].idd"]
    assert read_plan('{"steps": [{"id": "1", "depends_on": ["nope"]}]}')
