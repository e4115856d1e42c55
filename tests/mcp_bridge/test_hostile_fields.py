"""Every field of every tool, each with values that nobody means: refused in few words, and nothing in the journal changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import trio
from tests.mcp_bridge.agents import PROPOSAL, Agent, Refused, agent, approving, project

LONGEST = 5_000
"""Characters of a refusal."""
HOSTILE: dict[str, Any] = {
    "null": None,
    "a boolean": True,
    "a number": 7,
    "a fraction": 0.5,
    "a negative number": -1,
    "a huge number": 10**400,
    "an empty text": "",
    "a NUL": "a\0b",
    "letters that run backwards": "a\u202eb",
    "a text of 5 MB": "x" * 5_000_000,
    "a path that leads out": "../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "JSON in a text": '["a"]',
    "an empty list": [],
    "a long list": [0] * 100_000,
    "an object": {},
    "an object with strange names": {"\u202e\0": {"a": 1}},
}
TEXTS = {
    "an empty text",
    "a NUL",
    "letters that run backwards",
    "a path that leads out",
    "an absolute path",
    "JSON in a text",
}
MEANT: dict[tuple[str, str], set[str]] = {
    # A task is any text but none; a draft is made of it, and shown with what cannot be seen made visible.
    ("stratum_plan", "task"): TEXTS - {"an empty text"},
    ("stratum_plan", "input"): {"null", "an object"},
    # No step can refer to what the plan does not declare.
    ("stratum_plan", "inputs"): {"null", "an object", "an object with strange names"},
    ("stratum_plan", "output"): {"null", "an empty text"},
    ("stratum_plan", "budget"): {"null", "an object"},
    ("stratum_plan", "fail_fast"): {"null", "a boolean"},
    ("stratum_plan", "max_in_flight"): {"null", "a number"},
    ("stratum_plan", "plans"): {"null", "an object"},
    ("stratum_plan", "revises"): {"an empty text"},
    ("stratum_plan", "contracts"): {"null", "an object"},
    ("stratum_plan", "file"): {"an empty text"},
    ("stratum_status", "plan"): {"an empty text"},
    ("stratum_drift", "paths"): {"null", "an empty list"},
    ("stratum_drift", "since"): {"an empty text"},
    # Seconds within the limits.
    **{
        (tool, "wait_s"): {"a number", "a fraction"}
        for tool in ("stratum_execute", "stratum_status", "stratum_step_done", "stratum_gate")
    },
    ("stratum_rollback", "force"): {"a boolean"},
    ("stratum_step_done", "gave_up"): {"an empty text"},
}
"""What is no mistake: the calls that are left out."""


def rows(journal: Path) -> dict[str, list[Any]]:
    """All that the journal has."""
    with closing(sqlite3.connect(journal)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def hostile_calls(
    valid: dict[str, dict[str, Any]], fields: dict[str, list[str]]
) -> Iterator[tuple[str, str, str, Any]]:
    for tool, names in fields.items():
        for field in names:
            for what, value in HOSTILE.items():
                if what not in MEANT.get((tool, field), ()):
                    yield tool, field, what, {**valid[tool], field: value}


def is_plain(told: str, tool: str) -> bool:
    """A refusal that says something, in few words, all of which can be seen."""
    says = told.removeprefix(f"Error executing tool {tool}")
    seen = all(char.isprintable() or char == "\n" for char in says)
    foreign = [each for each in ("Traceback", "validation error", "[type=", "fault in Stratum") if each in says]
    return says not in (told, "") and len(says) < LONGEST and seen and not foreign


async def refusal(codex: Agent, tool: str, arguments: dict[str, Any]) -> str:
    try:
        return f"it was done: {str(await codex.call(tool, **arguments))[:100]}"
    except Refused as refused:
        return str(refused)


async def test_no_value_of_any_field_is_taken_for_what_it_is_not(tmp_path: Path) -> None:
    await trio.run_process(["git", "init", "-q", str(tmp_path)])
    served = project(tmp_path)
    odd: list[str] = []
    async with agent(served, approving()) as codex:
        plan = await codex.plan()
        (mine,) = (await codex.call("stratum_execute", plan=plan))["assignments"]
        valid: dict[str, dict[str, Any]] = {
            "stratum_plan": {"task": "x", "steps": [{"id": "a", "fn": "f"}]},
            "stratum_approve": {"plan": plan},
            "stratum_execute": {"plan": plan, "wait_s": 0},
            "stratum_step_done": {"plan": plan, "step": "1", "ticket": mine["ticket"], "result": {"files": []}},
            "stratum_status": {"plan": plan},
            "stratum_gate": {"plan": plan, "step": "1"},
            "stratum_rollback": {"plan": plan, "step": "1"},
            "stratum_audit": {"plan": plan},
            "stratum_drift": {"paths": ["."]},
        }
        listed = (await codex.client.list_tools()).tools
        fields = {tool.name: list(tool.input_schema["properties"]) for tool in listed}
        assert fields.keys() == valid.keys()
        fields["stratum_step_done"].remove("result")  # any JSON may be one: it is verified
        before = rows(served.journal)
        for tool, field, what, arguments in hostile_calls(valid, fields):
            told = await refusal(codex, tool, arguments)
            if not is_plain(told, tool):
                odd.append(f"{tool} {field} {what}: {told[:300]!r}")
        after = rows(served.journal)
        for tool, arguments in valid.items():
            for field in {"plan", "step", "ticket", "task"} & set(arguments):
                told = await refusal(codex, tool, {key: value for key, value in arguments.items() if key != field})
                assert field in told or tool == "stratum_status"
            assert 'no argument "extra"' in await refusal(codex, tool, {**arguments, "extra": 1})
        last = rows(served.journal)
        report = await codex.done(plan, mine, {"files": ["a.py"]})

    assert odd == []
    assert before == after == last
    assert report["accepted"] is True


async def test_a_step_that_cannot_be_rolled_back_to_does_not_stop_the_run(tmp_path: Path) -> None:
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan()
        (mine,) = (await codex.call("stratum_execute", plan=plan))["assignments"]
        told = await refusal(codex, "stratum_rollback", {"plan": plan, "step": "9"})
        report = await codex.done(plan, mine, {"files": ["a.py"]})

    assert "step 9 has no snapshot" in told
    assert (report["accepted"], report["run"]["state"]) == (True, "running")


async def test_a_finished_run_takes_no_report_and_asks_nobody(tmp_path: Path) -> None:
    served = project(tmp_path)
    async with agent(served, approving()) as codex:
        plan = await codex.plan(steps=[{"id": "1", "fn": "work"}], contracts={})
        (mine,) = (await codex.call("stratum_execute", plan=plan))["assignments"]
        await codex.done(plan, mine, "done")
        before = rows(served.journal)
        report = {"plan": plan, "step": "1", "ticket": mine["ticket"], "result": "another"}
        told = [
            await refusal(codex, "stratum_step_done", report),
            await refusal(codex, "stratum_gate", {"plan": plan, "step": "1"}),
            await refusal(codex, "stratum_plan", {**PROPOSAL, "revises": plan}),
        ]

        assert rows(served.journal) == before
    assert all(plan in each for each in told)
