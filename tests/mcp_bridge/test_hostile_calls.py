"""Calls as they should not be: each is refused with what to do instead, and leaves everything as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp import MCPError
from mcp_types import INVALID_PARAMS
from tests.mcp_bridge.agents import PROPOSAL, Agent, Refused, agent, approving, project, started

LONG = "x" * 5_000_000
TICKET = "1:1:0123456789ab"


async def standing(codex: Agent, plan: str) -> str:
    """All that can be seen of a plan, but for the time."""
    status = await codex.call("stratum_status", plan=plan)
    return json.dumps({**status["run"], "left": None})


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("stratum_plan", {}, "task: expected a value (required), got nothing"),
    ("stratum_plan", {"task": "x"}, "give either the steps"),
    ("stratum_plan", {"task": "x", "steps": []}, "it has no 'steps'"),
    ("stratum_plan", {"task": "x", "steps": "read, then write"}, "$.steps"),
    ("stratum_plan", {"task": "x", "steps": 7}, "$.steps"),
    ("stratum_plan", {"task": "x", "steps": [None]}, "$.steps[0]"),
    ("stratum_plan", {"task": "x", "steps": [{"id": 1}]}, "$.steps[0].id"),
    ("stratum_plan", {"task": "x", "steps": [{"id": "a", "fn": "f"}, {"id": "a", "fn": "f"}]}, "$.steps[1].id"),
    ("stratum_plan", {"task": "x", "steps": [{"id": "a", "fn": "f", "budget": {"usd": -1}}]}, "$.steps[0].budget"),
    ("stratum_plan", {"task": "x", "steps": [{"id": "a", "fn": LONG}]}, "longer than 1 MiB"),
    ("stratum_plan", {"task": LONG, "steps": [{"id": "a", "fn": "f"}]}, "at most 20000 characters"),
    ("stratum_plan", {**PROPOSAL, "budget": {"usd": "much"}}, "$.budget"),
    ("stratum_plan", {**PROPOSAL, "contracts": [1]}, "$.contracts"),
    ("stratum_plan", {**PROPOSAL, "inputs": {"path": 1}, "input": {"path": "str"}}, "path: expected string"),
    ("stratum_plan", {**PROPOSAL, "input": {"path": "str"}}, "path"),
    ("stratum_plan", {**PROPOSAL, "file": "plan.yaml"}, "give either the steps"),
    ("stratum_plan", {**PROPOSAL, "stepz": []}, 'no argument "stepz"; did you mean "steps"?'),
    ("stratum_plan", {**PROPOSAL, "revises": "nothing"}, "not in this journal"),
    ("stratum_approve", {"plan": "nothing"}, "not in this journal"),
    ("stratum_approve", {"plan": "nothing", "digest": "0" * 64}, 'no argument "digest"'),
    ("stratum_execute", {"plan": "nothing"}, "not in this journal"),
    ("stratum_execute", {"plan": "../../../etc/passwd"}, "not in this journal"),
    ("stratum_execute", {"plan": "x", "wait_s": 3600}, "wait_s: expected number <= 25, got 3600"),
    ("stratum_execute", {"plan": "x", "wait_s": -1}, "wait_s: expected number >= 0, got -1"),
    ("stratum_execute", {"plan": "x", "wait_s": "soon"}, 'wait_s: expected number, got "soon"'),
    ("stratum_step_done", {"plan": "nothing", "step": "1", "ticket": TICKET, "result": 1}, "not in this journal"),
    ("stratum_step_done", {"plan": "x", "step": "1", "result": 1}, "ticket: expected a value (required), got nothing"),
    ("stratum_step_done", {"plan": "x", "step": "1", "ticket": TICKET}, "give either the step's result"),
    ("stratum_step_done", {"plan": "x", "step": "1", "ticket": TICKET, "result": LONG}, "longer than 1 MiB"),
    ("stratum_status", {"plan": "nothing"}, "not in this journal"),
    ("stratum_status", {"plan": LONG}, "at most 64 characters"),
    ("stratum_status", {"plan": ["a"]}, "plan: expected string, got array of 1 item"),
    ("stratum_gate", {"plan": "nothing", "step": "ok"}, "not in this journal"),
    ("stratum_gate", {"plan": "nothing", "step": {"a": 1}}, "step: expected string, got object with 1 field"),
]


async def test_arguments_that_cannot_be_meant_are_refused_with_the_reason(tmp_path: Path) -> None:
    async with agent(project(tmp_path), approving()) as codex:
        for tool, arguments, told in REFUSED:
            with pytest.raises(Refused) as refused:
                await codex.call(tool, **arguments)
            assert told in str(refused.value)
            assert len(str(refused.value)) < 5_000
        listed = await codex.call("stratum_status")

    assert listed["plans"] == []


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("plan_a_tsk", {"task": "x"}, 'there is no prompt "plan_a_tsk"; did you mean "plan_a_task"?'),
        ("plan_a_task", None, "task: expected a text (required), got nothing; it is: What is to be done."),
        ("plan_a_task", {"task": " "}, "task: expected a text (required), got nothing; it is: What is to be done."),
        ("plan_a_task", {"task": "x", "tsk": "y"}, 'there is no argument "tsk"; did you mean "task"?'),
    ],
)
async def test_a_prompt_that_cannot_be_meant_is_the_clients_error_and_none_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, arguments: dict[str, str] | None, told: str
) -> None:
    async with agent(project(tmp_path)) as codex:
        with pytest.raises(MCPError) as refused:
            await codex.client.get_prompt(name, arguments)

    assert (refused.value.code, refused.value.message) == (INVALID_PARAMS, told)
    assert [record.levelname for record in caplog.records if record.name.startswith("mcp")] == []


UNASKED: list[tuple[dict[str, str], str]] = [
    ({"step": "2"}, "nobody is asked to do it now"),
    ({"step": "3"}, "nobody is asked to do it now"),
    ({"step": ""}, "nobody is asked to do it now"),
    ({"step": "../1"}, "nobody is asked to do it now"),
    ({"ticket": TICKET}, "handed out anew, with another ticket"),
    ({"ticket": ""}, "handed out anew, with another ticket"),
    ({"gave_up": "and a result"}, "give either the step's result"),
    ({"plan": "nothing"}, "not in this journal"),
]


async def test_a_report_that_nobody_asked_for_changes_nothing(tmp_path: Path) -> None:
    """CASES H3."""
    async with agent(project(tmp_path), approving()) as codex:
        plan, first = await started(codex)
        before = await standing(codex, plan)
        report: dict[str, Any] = {"plan": plan, "step": "1", "ticket": first["ticket"], "result": {"files": []}}
        for changes, told in UNASKED:
            with pytest.raises(Refused, match=told):
                await codex.call("stratum_step_done", **report | changes)
        after = await standing(codex, plan)

    assert after == before


async def test_a_plan_of_another_project_is_unknown_here(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    async with agent(project(tmp_path / "one"), approving()) as codex:
        plan, first = await started(codex)
        async with agent(project(tmp_path / "other"), approving()) as stranger:
            calls: list[tuple[str, dict[str, Any]]] = [
                ("stratum_execute", {}),
                ("stratum_step_done", {"step": "1", "ticket": first["ticket"], "result": {"files": []}}),
                ("stratum_status", {}),
                ("stratum_audit", {}),
                ("stratum_gate", {"step": "1"}),
            ]
            for tool, more in calls:
                with pytest.raises(Refused, match="not in this journal"):
                    await stranger.call(tool, plan=plan, **more)
        report = await codex.done(plan, first, {"files": []})

    assert report["accepted"] is True


async def test_the_same_report_again_gets_the_same_verdict_and_counts_once(tmp_path: Path) -> None:
    async with agent(project(tmp_path), approving()) as codex:
        plan, first = await started(codex)
        once = await codex.done(plan, first, {"files": 1})
        twice = await codex.done(plan, first, {"files": 1})
        with pytest.raises(Refused, match="reported already, with another result"):
            await codex.done(plan, first, {"files": []})
        status = await codex.call("stratum_status", plan=plan)

    assert (once["accepted"], twice["accepted"]) == (False, False)
    assert once["again"] == twice["again"]
    assert status["run"]["steps"][0]["attempts"] == 1


async def test_of_many_reports_of_one_step_at_once_one_counts(tmp_path: Path) -> None:
    accepted: list[Any] = []
    refused: list[str] = []
    async with agent(project(tmp_path), approving()) as codex:
        plan, first = await started(codex)

        async def report(number: int) -> None:
            try:
                accepted.append((await codex.done(plan, first, {"files": [str(number)]}))["accepted"])
            except Refused as error:
                refused.append(str(error))

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(report, number)
        status = await codex.call("stratum_status", plan=plan)

    assert accepted == [True]
    assert len(refused) == 19
    assert all("with another result" in told for told in refused)
    assert status["run"]["steps"][0]["attempts"] == 1


async def test_of_many_calls_that_start_one_plan_none_starts_another(tmp_path: Path) -> None:
    tickets: set[str] = set()
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan()
        await codex.call("stratum_approve", plan=plan)

        async def execute() -> None:
            run = await codex.call("stratum_execute", plan=plan)
            tickets.update(each["ticket"] for each in run["assignments"])

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(execute)

    assert len(tickets) == 1


async def test_a_hundred_runs_go_on_at_once_in_one_server(tmp_path: Path) -> None:
    ended: list[str] = []
    async with agent(project(tmp_path), approving()) as codex:

        async def whole_run() -> None:
            plan, first = await started(codex)
            report = await codex.done(plan, first, {"files": ["a.py"]})
            report = await codex.done(plan, report["run"]["assignments"][0], {"files": [plan]})
            assert report["run"]["output"] == {"files": [plan]}
            ended.append(report["run"]["state"])

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(whole_run)

    assert ended == ["succeeded"] * 100
