"""Plans written in Python, and flows shown as plans."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import eq, gt
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.engine.plans.plan_fixtures import open_project

from stratum import Budget, ContractDefinitionError, compute, contract, flow, infer
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.text import read_plan, to_yaml
from stratum.engine.plans.builder import PlanBuilder
from stratum.engine.plans.functions import Functions
from stratum.engine.providers.scripted import scripted


@contract
class Routes:
    paths: list[str]
    count: int


@infer(intent="List the routes", max_output_tokens=100)
def read_routes(path: str) -> Routes: ...


@compute(inline=True)
def join(paths: list[str], separator: str = ", ") -> str:
    return separator.join(paths)


@compute(inline=True)
def total(first: int, second: int) -> int:
    return first + second


FUNCTIONS = Functions([read_routes, join, total])


def built() -> ExecutionPlan:
    plan = PlanBuilder("Look at the routes", budget=Budget(usd=0.5))
    where = plan.input("path", str)
    routes = plan.step(read_routes, path=where).having(ensure="result.count > 0", retries=2)
    text = plan.step(join, routes.output.paths, separator="$.")
    gate = plan.gate("Good?", after=[text], revise=routes)
    plan.command("echo", text.output).having(after=[gate], ensure="result.exit_code == 0", repair=routes)
    plan.agent("Write it up", str, text=text.output, first=routes.output.paths[0])
    return plan.build(returns=text.output)


def test_a_built_plan_is_what_its_yaml_would_be() -> None:
    plan = built()
    assert read_plan(to_yaml(plan)) == plan
    compiled = compile_plan(plan, FUNCTIONS.registry)
    assert [step.id for step in plan.steps] == ["read_routes", "join", "gate", "echo", "agent"]
    assert plan.steps[1].inputs == {"paths": "$.steps.read_routes.output.paths", "separator": "$$."}
    assert plan.steps[4].inputs["first"] == "$.steps.read_routes.output.paths.0"
    assert compiled.kinds == ("infer", "compute", "gate", "command", "agent")
    assert plan.output == "$.steps.join.output"


def test_a_built_join_is_what_its_yaml_would_be() -> None:
    plan = PlanBuilder("Look twice")
    first, second = plan.agent("Look here", str), plan.agent("Look there", str)
    plan.agent("Sum up", str, one=first.output, other=second.output).having(require="any")
    plan.agent("Sum up again", str).having(after=[first, second], require=2)
    assert [step.require for step in plan.build().steps] == ["all", "all", "any", 2]


async def test_a_built_plan_runs(tmp_path: Path) -> None:
    plan = PlanBuilder("Add")
    one = plan.step(total, 1, 2)
    two = plan.step(total, first=one.output, second=one.output)
    async with open_project(tmp_path, steps=[total]) as plans:
        draft = await plans.propose(plan.build(), by="test")
        plans.approvals.approve(draft.digest, by="test", how="python")
        run = await plans.start(draft.run)
        assert await run.result() == 6
        assert two.id == "total-2"


def holds_one(output: Any) -> bool:
    return 1 in output


USES: list[tuple[Callable[[Any], object], str]] = [
    (bool, "whether it is true"),
    (len, "how many items"),
    (list, "its items"),
    (str, "its text"),
    (partial(eq, 1), "what it is equal to"),
    (partial(gt, 1), "what it is less than"),
    (holds_one, "what it contains"),
    (format, "its text"),
]


@pytest.mark.parametrize(("use", "what"), USES)
def test_an_output_has_no_value_before_the_run(use: Callable[[Any], object], what: str) -> None:
    routes = PlanBuilder().step(read_routes, "x")
    with pytest.raises(ContractDefinitionError, match=what):
        use(routes.output)


def test_a_handle_is_no_value_and_arguments_must_match() -> None:
    plan = PlanBuilder()
    routes = plan.step(read_routes, "x")
    with pytest.raises(ContractDefinitionError, match="pass its output"):
        plan.step(join, routes)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError):
        plan.step(total, 1)  # type: ignore[call-arg]  # that is the point


@flow(budget=Budget(usd=0.1))
async def describe(path: str, twice: bool) -> str:
    routes = await read_routes(path)
    if twice:
        return await join(routes.paths, " and ")
    return await join(paths=routes.paths)


@flow
async def outer(path: str) -> int:
    first: list[int] = []

    async def one(separator: str) -> None:
        first.append(await total(1, 2))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, "a")
    await describe(path, True)
    return await total(first[0], first[0])


@flow
async def looks_at_results(path: str) -> str:
    routes = await read_routes(path)
    if routes.count > 3:
        return await join(routes.paths)
    return "few"


@flow
async def returns_its_own(path: str) -> str:
    await read_routes(path)
    return "done"


def test_a_flow_is_shown_as_the_plan_of_what_it_would_do() -> None:
    plan = describe.plan("api.py", twice=True)
    assert plan.budget == Budget(usd=0.1)
    assert [(step.fn, dict(step.inputs)) for step in plan.steps] == [
        ("read_routes", {"path": "api.py"}),
        ("join", {"paths": "$.steps.read_routes.output.paths", "separator": " and "}),
    ]
    compile_plan(plan, FUNCTIONS.registry)


def test_nurseries_and_inner_flows_are_followed() -> None:
    plan = outer.plan("api.py")
    assert [step.id for step in plan.steps] == ["total", "read_routes", "join", "total-2"]
    assert plan.output == "$.steps.total-2.output"


async def test_also_inside_an_event_loop() -> None:
    assert len(describe.plan("x", twice=False).steps) == 2


def test_a_flow_that_looks_at_a_result_is_refused_with_the_line() -> None:
    with pytest.raises(ContractDefinitionError) as caught:
        looks_at_results.plan("x")
    line = looks_at_results.function.__code__.co_firstlineno + 3
    assert f"line {line} asks what it is less than of a result" in str(caught.value)


def test_a_flow_that_returns_no_steps_output_is_refused() -> None:
    with pytest.raises(ContractDefinitionError, match="not one step's output"):
        returns_its_own.plan("x")


async def test_a_flows_plan_runs_and_gives_what_the_flow_gives(tmp_path: Path) -> None:
    provider = scripted(otherwise=Routes(paths=["/a", "/b"], count=2))
    async with open_project(tmp_path, provider=provider, steps=[read_routes, join]) as plans:
        draft = await plans.propose(describe.plan("api.py", twice=True), by="test")
        plans.approvals.approve(draft.digest, by="test", how="python")
        run = await plans.start(draft.run)
        assert await run.result() == "/a and /b"
