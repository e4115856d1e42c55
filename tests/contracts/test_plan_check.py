"""`check` and `compile_plan`: what a good plan becomes, and that all that is wrong is told at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.errors import PlanError
from stratum.contracts.plans.check import check, compile_plan
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.text import load_plan
from stratum.contracts.problem import MAX_PROBLEMS, Problem
from tests.contracts.malformed_plans import DESIGN, READ
from tests.contracts.plan_registry import REGISTRY


def compiled(*steps: dict[str, Any], **keys: Any) -> CompiledPlan:
    return load_plan(json.dumps({"steps": steps, **keys}), REGISTRY)


def problems_of(*steps: dict[str, Any], **keys: Any) -> Sequence[Problem]:
    try:
        compiled(*steps, **keys)
    except PlanError as error:
        return error.problems
    return ()


def agent(id: str, **keys: Any) -> dict[str, Any]:
    return {"id": id, "fn": "work", **keys}


def test_kinds_follow_from_what_a_step_has() -> None:
    """DESIGN 14: a function that is not registered is done by the agent."""
    plan = compiled(
        READ,
        DESIGN,
        agent("3"),
        {"id": "4", "command": ["ls"]},
        {"id": "5", "gate": {"question": "?"}},
        {"id": "6", "fn": "inner"},
        {"id": "7", "fn": "read_routes", "kind": "agent", "inputs": {"path": "x"}},
        {"id": "8", "kind": "infer", "intent": "Guess", "output": "int"},
        plans={"inner": {"steps": [agent("1")]}},
    )
    assert plan.kinds == ("compute", "infer", "agent", "command", "gate", "plan", "agent", "infer")
    assert [None if codec is None else codec.name for codec in plan.outputs] == (
        ["RouteMap", "Spec", None, "CommandResult", "GateDecision", None, "RouteMap", "int"]
    )
    assert set(plan.functions) == {"read_routes", "design"}


def test_a_step_waits_for_what_it_names_and_for_what_it_reads() -> None:
    """CASES H15."""
    plan = compiled(
        agent("a"),
        agent("b"),
        agent("c", depends_on=["a"]),
        agent("d", inputs={"x": "$.steps.b.output.deep.field"}),
        agent("e", inputs={"x": [{"y": "$.steps.c.output"}]}),
        agent("f", when="steps.d.output.ok == True"),
        agent("g", ensure=["result.n > steps['e'].output.n", {"command": ["ls", "$.steps.f.output"]}]),
        {"id": "h", "command": ["ls", "$.steps.g.output"]},
        agent("i", repeat={"until": "steps.h.output.exit_code == 0", "limit": 3}),
    )
    assert plan.dependencies == ((), (), (0,), (1,), (2,), (3,), (4, 5), (6,), (7,))
    assert plan.dag.order() == list(range(9))
    assert set(plan.expressions) == {
        "steps.d.output.ok == True",
        "result.n > steps['e'].output.n",
        "steps.h.output.exit_code == 0",
    }


def test_whoever_needs_an_output_also_waits_for_the_step_that_may_stand_in() -> None:
    """CASES H12."""
    plan = compiled(agent("a", on_fail="r"), agent("b", depends_on=["a"]), agent("r"), agent("c", depends_on=["r"]))
    assert plan.dependencies == ((), (0,), (0,), (2,))
    assert plan.dag.successors == ((1, 2), (), (1, 3), ())


def test_steps_before_joins_alone_may_fail() -> None:
    """CASES H36."""
    plan = compiled(
        agent("a"),
        agent("b", depends_on=["a"]),
        agent("c"),
        agent("d"),
        agent("j", depends_on=["b", "c"], require="any"),
        agent("k", depends_on=["d", "j"], require=1),
        agent("z", depends_on=["d"]),
    )
    assert plan.tolerated == bytes([1, 1, 1, 0, 1, 0, 0])
    assert compiled(agent("a"), agent("b", depends_on=["a"])).tolerated == b""
    returned = compiled(agent("a"), agent("j", depends_on=["a"], require="any"), output="$.steps.a.output")
    assert returned.tolerated == bytes([0, 0])


def test_a_join_takes_null_for_what_may_have_failed() -> None:
    named = {"id": "2", "fn": "name_of", "inputs": {"limits": "$.steps.1.output"}, "require": "any"}
    lower = {"id": "1", "intent": "Find limits", "output": "Limits"}
    (problem,) = problems_of(lower, named)
    assert problem.path == "$.steps[1].inputs.limits"
    assert 'step "1" may have failed' in problem.problem
    assert problem.fix == 'have "limits" take Limits | None'
    wanted = {"id": "3", "fn": "work", "inputs": {"limits": "$.steps.1.output"}}
    assert problems_of(lower, named, wanted) == (), "it may not fail"
    assert len(problems_of(lower, named, wanted, fail_fast=False)) == 1, "it may, but the plan then fails in the end"


def test_literals_that_begin_like_references_can_be_written() -> None:
    plan = compiled({"id": "1", "fn": "read_routes", "inputs": {"path": "$$.steps.9.output"}})
    assert plan.dependencies == ((),)


def test_repairs_go_back_over_any_number_of_steps() -> None:
    chain = [agent(str(n), **({"depends_on": [str(n - 1)]} if n else {})) for n in range(30)]
    chain[-1] |= {"ensure": "fine", "repair": "3"}
    assert compiled(*chain).plan.steps[-1].repair == "3"


def test_a_plan_within_a_plan_takes_inputs_and_returns() -> None:
    """CASES H35."""
    inner = {
        "input": {"path": "str", "limits": "Limits"},
        "steps": [
            {"id": "read", "fn": "read_routes", "inputs": {"path": "$.input.path"}},
            {"id": "name", "fn": "name_of", "inputs": {"limits": "$.input.limits"}},
        ],
        "output": "$.steps.read.output.routes",
    }
    plan = compiled(
        {"id": "1", "fn": "inner", "inputs": {"path": "x", "limits": {"per_second": 1, "burst": None}}},
        {"id": "2", "fn": "count", "inputs": {"names": "$.steps.1.output"}},
        plans={
            "inner": inner,
            "outer": {"steps": [{"id": "1", "fn": "inner", "inputs": {"path": "x", "limits": "$.input.l"}}]},
        },
    )
    assert plan.plans["inner"].inputs.keys() == {"path", "limits"}
    assert plan.plans["inner"].digest == plan.plan.plans["inner"].digest
    assert set(plan.plans) == {"inner"}


def test_contracts_that_a_plan_declares_are_contracts_like_any_other() -> None:
    """CASES G5: declared, they are found, also by one another."""
    plan = compiled(
        agent("1", output="Report"),
        agent("2", output="list[Finding] | None", inputs={"first": "$.steps.1.output.findings.0.line"}),
        agent("3", output={"type": "object", "properties": {"f": {"$ref": "Finding"}}, "required": ["f"]}),
        contracts={
            "Report": {
                "type": "object",
                "properties": {"findings": {"type": "array", "items": {"$ref": "#/$defs/Finding"}}},
                "required": ["findings"],
            },
            "Finding": {
                "type": "object",
                "properties": {"line": {"type": "integer", "minimum": 1}},
                "required": ["line"],
            },
        },
    )
    report = plan.outputs[0]
    assert report is not None
    assert report.decode(b'{"findings": [{"line": 3}]}').findings[0].line == 3
    assert plan.outputs[1] is not None
    assert plan.outputs[1].name == "list[Finding] | None"


def test_an_expression_may_read_contracts_with_definitions_of_the_same_name() -> None:
    def nested(field: str) -> dict[str, Any]:
        part = {"type": "object", "properties": {field: {"type": "integer"}}, "required": [field]}
        return {"type": "object", "properties": {"part": {"$ref": "#/$defs/Part"}}, "$defs": {"Part": part}}

    steps = [agent("1", output=nested("x")), agent("2", output=nested("y"))]
    compiled(*steps, agent("3", when="steps['1'].output.part.x == steps['2'].output.part.y"))
    with pytest.raises(PlanError, match="there is no field 'y'"):
        compiled(*steps, agent("3", when="steps['1'].output.part.y == 1"))


def test_form_and_meaning_are_told_in_one_go_each_with_its_line() -> None:
    """Unknown keys and wrong types do not hide dangling references and unknown contracts elsewhere."""
    text = """\
steps:
- id: "1"
  fn: read_routes
  inpts: {path: x}
- id: "2"
  fn: work
  output: Nope
  depends_on:
  - "1"
  - "7"
  retries: many
"""
    with pytest.raises(PlanError) as caught:
        load_plan(text, REGISTRY)
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (4, "$.steps[0].inpts"),
        (2, "$.steps[0].inputs"),
        (10, "$.steps[1].depends_on[1]"),
        (7, "$.steps[1].output"),
        (11, "$.steps[1].retries"),
    ]


def test_what_looks_missing_because_of_a_wrong_form_is_not_told() -> None:
    with pytest.raises(PlanError) as caught:
        load_plan(json.dumps({"steps": [agent("1", output="A")], "contracts": {"A": "str"}}), REGISTRY)
    assert [problem.path for problem in caught.value.problems] == ["$.contracts.A"]
    with pytest.raises(PlanError) as caught:
        load_plan(json.dumps({"steps": [agent("1"), {"id": 2}, agent("3", depends_on=["2"])]}), REGISTRY)
    assert [problem.path for problem in caught.value.problems] == ["$.steps[1].id"]


def test_several_cycles_are_told_at_once() -> None:
    """CASES G9."""
    steps = [agent("a", depends_on=["b"]), agent("b", depends_on=["a"]), agent("c", depends_on=["d"])]
    with pytest.raises(PlanError) as caught:
        compiled(*steps, agent("d", depends_on=["c"]))
    assert [problem.path for problem in caught.value.problems] == ["$.steps[0]", "$.steps[2]"]


def test_no_more_cycles_are_told_than_can_be_read() -> None:
    pairs = [(f"a{n}", f"b{n}") for n in range(30)]
    steps = [agent(one, depends_on=[other]) for pair in pairs for one, other in (pair, reversed(pair))]
    with pytest.raises(PlanError) as caught:
        compiled(*steps)
    assert len(caught.value.problems) == 10


def test_what_is_wrong_twice_is_told_twice() -> None:
    wrong = [agent(id, output="Nope", ensure="result.x >") for id in ("1", "2")]
    wrong += [{**READ, "id": id, "ensure": "result.rutes == []"} for id in ("3", "4")]
    with pytest.raises(PlanError) as caught:
        compiled(*wrong)
    assert [problem.path for problem in caught.value.problems] == [
        *("$.steps[0].ensure[0]", "$.steps[0].output", "$.steps[1].ensure[0]", "$.steps[1].output"),
        *("$.steps[2].ensure[0]", "$.steps[3].ensure[0]"),
    ]


def test_a_mismatch_is_told_wherever_it_is() -> None:
    wrong = [{"id": id, "fn": "count", "inputs": {"names": "$.steps.1.output"}} for id in ("2", "3")]
    with pytest.raises(PlanError) as caught:
        compiled(READ, *wrong)
    assert [problem.path for problem in caught.value.problems] == ["$.steps[1].inputs.names", "$.steps[2].inputs.names"]


def test_problems_without_number_are_cut_off() -> None:
    steps = [agent(str(n), depends_on=["nope"]) for n in range(2000)]
    problems = check(msgspec.convert({"steps": steps}, ExecutionPlan), REGISTRY)
    assert len(problems) == MAX_PROBLEMS
    assert str(PlanError(problems=problems)).endswith("and 150 more; correct these first")


def test_a_plan_made_in_python_is_checked_for_what_no_text_could_hold() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value, problem in (
        (deep, "nested too deeply"),
        ("\ud800", "half of a character"),
        (float("nan"), "nan is not"),
    ):
        found = check(msgspec.convert({"steps": [agent("1", inputs={"a": value})]}, ExecutionPlan), REGISTRY)
        assert [problem in each.problem for each in found] == [True]
    while deep:  # taken apart by hand: to free it is a recursion too
        deep = deep[0]


def test_a_hundred_thousand_steps_are_checked() -> None:
    """DESIGN 6: in seconds; benchmarks measure them."""
    steps = [
        {"id": str(n), "fn": "work", "depends_on": [str(n - 1)] if n else [], "inputs": {"a": f"$.steps.{max(n - 9, 0)}.output"} if n else {}}
        for n in range(100_000)
    ]  # fmt: skip
    plan = compile_plan(msgspec.convert({"steps": steps}, ExecutionPlan), REGISTRY)
    assert plan.dag.path_lengths()[0] == 100_000


@given(st.data())
def test_random_plans_compile_to_the_graph_they_describe(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 20))
    before = [data.draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set[int]() for n in range(size)]
    order = data.draw(st.permutations(range(size)))
    steps: list[dict[str, Any]] = []
    for n in order:
        step = agent(str(n), depends_on=[], inputs={})
        for other in sorted(before[n]):
            if data.draw(st.booleans()):
                step["depends_on"].append(str(other))
            else:
                step["inputs"][f"i{other}"] = f"$.steps.{other}.output"
        steps.append(step)
    plan = compiled(*steps)
    place = {n: index for index, n in enumerate(order)}
    assert [set(each) for each in plan.dependencies] == [{place[other] for other in before[n]} for n in order]
    assert plan.index == {str(n): index for index, n in enumerate(order)}


@pytest.mark.parametrize(
    ("accumulate", "problem"),
    [
        ({"field": "bugs", "key": "id"}, None),
        ({"field": "bug"}, "bug"),
        ({"field": "sure"}, '"sure" is no list'),
        ({"field": "few"}, "holds 3 items at most"),
        ({"field": "bugs", "key": "name"}, "name"),
    ],
)
def test_what_is_accumulated_is_a_list_of_the_result_without_a_limit(
    accumulate: dict[str, str], problem: str | None
) -> None:
    """CASES H34."""
    bug = {
        "type": "object",
        "properties": {"id": {"type": "integer"}},
        "required": ["id"],
        "additionalProperties": False,
    }
    fields: dict[str, Any] = {"sure": {"type": "number"}, "bugs": {"type": "array", "items": bug}}
    fields["few"] = {"type": "array", "items": bug, "maxItems": 3}
    output = {"type": "object", "properties": fields, "required": sorted(fields), "additionalProperties": False}
    step = agent("1", output=output, repeat={"until": "False", "limit": 3, "accumulate": accumulate})
    if problem is None:
        compiled(step)
        return
    with pytest.raises(PlanError, match=problem) as caught:
        compiled(step)
    assert [each.path.startswith("$.steps[0].repeat.accumulate") for each in caught.value.problems] == [True]
