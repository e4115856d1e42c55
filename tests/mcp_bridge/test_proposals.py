"""All that a plan's file may say can be proposed in a call, and what would be ignored is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.mcp_bridge.agents import Refused, agent, approving, project

from stratum import compute
from stratum.contracts.plans.text import read_plan
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.providers.scripted import scripted
from stratum.engine.runtime import open_runtime
from stratum.mcp_bridge.bridge import Project

FILE = """
goal: Add
fail_fast: false
max_in_flight: 2
plans:
  twice:
    input: {n: int}
    steps: [{id: a, fn: double, inputs: {n: $.input.n}}]
steps:
- {id: x, fn: twice, inputs: {n: 2}}
- {id: y, fn: double, inputs: {n: $.steps.x.output}}
"""
PARTS: dict[str, Any] = {
    "task": "Add",
    "fail_fast": False,
    "max_in_flight": 2,
    "plans": {
        "twice": {"input": {"n": "int"}, "steps": [{"id": "a", "fn": "double", "inputs": {"n": "$.input.n"}}]},
    },
    "steps": [
        {"id": "x", "fn": "twice", "inputs": {"n": 2}},
        {"id": "y", "fn": "double", "inputs": {"n": "$.steps.x.output"}},
    ],
}


@compute(inline=True)
def double(n: int) -> int:
    return 2 * n


async def kept(served: Project, plan: str) -> PlanHistory:
    async with open_runtime(provider=scripted(), journal=served.journal) as runtime:
        return PlanHistory(await runtime.journal.read(plan))


async def test_a_call_takes_all_that_a_plans_file_takes(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(FILE)
    served = project(tmp_path, steps=[double])
    async with agent(served, approving()) as codex:
        by_call = await codex.call("stratum_plan", **PARTS)
        by_file = await codex.call("stratum_plan", task="Add", file="plan.yaml")
        run = await codex.call("stratum_execute", plan=by_call["plan"])
    assert by_call["digest"] == by_file["digest"] == read_plan(FILE).digest
    assert (run["state"], run["output"]) == ("succeeded", 8)
    past = await kept(served, by_call["plan"])
    assert (past.plan.fail_fast, past.plan.max_in_flight, list(past.plan.plans)) == (False, 2, ["twice"])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"fail_fast": "no"}, "fail_fast"),
        ({"plans": {"twice": {"steps": [{"id": "a", "fn": "double", "inputs": {"m": 1}}]}}}, '"m"'),
        ({"plans": {}, "steps": [{"id": "x", "kind": "plan", "fn": "twice"}]}, "twice"),
    ],
)
async def test_what_is_wrong_with_them_is_told_and_nothing_is_kept(
    tmp_path: Path, wrong: dict[str, Any], told: str
) -> None:
    async with agent(project(tmp_path, steps=[double])) as codex:
        with pytest.raises(Refused) as refused:
            await codex.call("stratum_plan", **PARTS | wrong)
        listed = await codex.call("stratum_status")
    assert told in str(refused.value)
    assert listed["plans"] == []


async def test_what_a_file_would_not_be_changed_by_is_refused_beside_it(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(FILE)
    async with agent(project(tmp_path, steps=[double])) as codex:
        for more in ({"budget": {"usd": 1}}, {"max_in_flight": 1, "fail_fast": False}):
            with pytest.raises(Refused, match=rf"write {', '.join(sorted(more))} there") as refused:
                await codex.call("stratum_plan", task="Add", file="plan.yaml", **more)
            assert "the file holds all of the plan" in str(refused.value)
        # What is empty says nothing.
        plan = await codex.call("stratum_plan", task="Add", file="plan.yaml", budget=None, output="", contracts={})
    assert plan["state"] == "draft"


async def test_a_revision_keeps_the_inputs_and_refuses_others(tmp_path: Path) -> None:
    steps = [{"id": "x", "fn": "double", "inputs": {"n": "$.input.n"}}]
    asked: dict[str, Any] = {"task": "Add", "steps": steps, "input": {"n": "int"}}
    async with agent(project(tmp_path, steps=[double]), approving()) as codex:
        plan = (await codex.call("stratum_plan", **asked, inputs={"n": 3}))["plan"]
        with pytest.raises(Refused, match="a draft keeps the inputs that it has"):
            await codex.call("stratum_plan", **asked, inputs={"n": 4}, revises=plan)
        for same in ({}, {"inputs": {"n": 3}}):
            assert (await codex.call("stratum_plan", **asked, **same, revises=plan))["plan"] == plan
        assert (await codex.call("stratum_execute", plan=plan))["output"] == 6
