"""What an agent is told of a call that no tool could answer: what to do, in words that it can act on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Never

import pytest
from mcp import MCPError
from tests.mcp_bridge.agents import Refused, agent, approving, project

from stratum.contracts.errors import JournalError
from stratum.mcp_bridge.refusal import fault

WAIT = "wait_s is: Seconds to wait until there is something to do. It may be left out."
PLAN = "plan is: The plan's id, from stratum_plan."
AGAIN = "Nothing was done: correct this and call {} again."
TOLD: list[tuple[str, dict[str, Any], list[str]]] = [
    ("stratum_execute", {"plan": "x", "wait_s": "7"}, ['wait_s: expected number, got "7"', WAIT]),
    ("stratum_execute", {"plan": "x", "wait_s": True}, ["wait_s: expected number, got true", WAIT]),
    (
        "stratum_gate",
        {"plan": 7, "stp": "1"},
        [
            "plan: expected string, got 7",
            "step: expected a value (required), got nothing",
            PLAN,
            "step is: The step's id.",
            'there is no argument "stp"; did you mean "step"?',
        ],
    ),
    (
        "stratum_drift",
        {"paths": ["a", 7]},
        [
            "paths[1]: expected string, got 7",
            "paths is: Python files and folders in the project; all of it if not given. It may be left out.",
        ],
    ),
]


async def test_of_wrong_arguments_it_is_told_what_was_given_and_what_is_asked_for(tmp_path: Path) -> None:
    async with agent(project(tmp_path), approving()) as codex:
        for tool, arguments, lines in TOLD:
            with pytest.raises(Refused) as refused:
                await codex.call(tool, **arguments)

            assert str(refused.value) == f"Error executing tool {tool}: " + "\n".join([*lines, AGAIN.format(tool)])


@pytest.mark.parametrize("wait_s", [0, 0.5, 25])
async def test_a_wait_may_be_a_whole_number_or_a_fraction(tmp_path: Path, wait_s: float) -> None:
    async with agent(project(tmp_path)) as codex:
        assert (await codex.call("stratum_status", wait_s=wait_s))["plans"] == []


async def test_a_tool_that_there_is_not_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    async with agent(project(tmp_path)) as codex:
        with pytest.raises(Refused, match='^there is no tool "stratum_stat"; did you mean "stratum_status"[?]$'):
            await codex.call("stratum_stat")
        with pytest.raises(Refused, match='^there is no tool "x{64}"; there are: stratum_plan, '):
            await codex.call("x" * 5_000_000)


async def test_an_exception_of_no_refusal_is_told_with_how_to_go_on_and_its_traceback_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> Never:
        raise ZeroDivisionError("division by \u202e zero")

    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan()
        monkeypatch.setattr("stratum.mcp_bridge.status_tool.run_view", broken)
        with caplog.at_level(logging.ERROR), pytest.raises(Refused) as refused:
            await codex.call("stratum_status", plan=plan)
        monkeypatch.undo()
        status = await codex.call("stratum_status", plan=plan)

    told = str(refused.value).splitlines()
    assert told[0] == r"Error executing tool stratum_status: ZeroDivisionError: division by \u202e zero"
    assert "Nothing is lost" in told[1] and f'stratum_status(plan="{plan}")' in told[1]
    assert "in broken" in caplog.text and "ZeroDivisionError" in caplog.text
    assert status["run"]["state"] == "draft"


def test_of_a_group_of_exceptions_each_is_told() -> None:
    told = fault(ExceptionGroup("two", [KeyError("a"), ExceptionGroup("one", [ValueError()])]), {"plan": 7})

    assert told.startswith("KeyError: 'a'; ValueError\n")
    assert "stratum_status() tells" in told


async def test_a_resource_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> Never:
        raise JournalError(path="j.db", problem="it is gone", fix="restore it")

    async with agent(project(tmp_path)) as codex:
        monkeypatch.setattr("stratum.mcp_bridge.resources.audited", broken)
        with pytest.raises(MCPError, match="it is gone"):
            await codex.client.read_resource("stratum://runs/x/audit")
