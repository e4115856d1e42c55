"""Where nothing can be recorded, what reads still answers, and the rest is refused with why."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from tests.mcp_bridge.agents import PROPOSAL, Refused, agent, approving, project

from stratum.actors.read_only_journal import ReadOnlyJournal
from stratum.contracts.errors import JournalUnavailable


@asynccontextmanager
async def full(**_: Any) -> AsyncGenerator[None]:
    raise JournalUnavailable(path="j.db", problem="no space left", fix="free some")
    yield


async def test_what_reads_answers_as_far_as_it_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = project(tmp_path)
    async with agent(served, approving()) as codex:
        plan = await codex.plan()
        await codex.call("stratum_execute", plan=plan)
    with closing(ReadOnlyJournal(served.journal)) as reading:
        (session,) = [run.run for run in await reading.runs() if not run.target]
    monkeypatch.setattr("stratum.engine.runtime.open_runtime", full)
    async with agent(served) as codex:
        status = (await codex.call("stratum_status", plan=plan))["run"]
        listed = (await codex.call("stratum_status"))["plans"]
        audit = await codex.call("stratum_audit", plan=plan)
        resources = [await codex.client.read_resource(f"stratum://{kind}/{plan}") for kind in ("plans", "runs")]
        with pytest.raises(Refused, match="not a plan's"):
            await codex.call("stratum_status", plan=session)
        with pytest.raises(MCPError, match="not a plan's"):
            await codex.client.read_resource(f"stratum://plans/{session}")
        for tool, arguments in (("stratum_plan", PROPOSAL), ("stratum_execute", {"plan": plan})):
            with pytest.raises(Refused, match=r"j\.db: no space left; free some\. Nothing more was recorded"):
                await codex.call(tool, **arguments)
    monkeypatch.undo()
    async with agent(served) as codex:
        now = (await codex.call("stratum_status", plan=plan, wait_s=5))["run"]

    assert [(step["id"], step["standing"]) for step in status["steps"]] == [("1", "handed_out"), ("2", "waiting")]
    assert status["next"].startswith("Nothing can be recorded now: j.db: no space left; free some. Tell the user; once")
    assert [(each["plan"], each["state"]) for each in listed] == [(plan, status["state"])] == [(plan, "interrupted")]
    assert audit["plan"] == plan
    assert PROPOSAL["task"] in str(resources[0]) and "handed_out" in str(resources[1])
    assert [each["step"] for each in now["assignments"]] == ["1"]


async def test_where_nothing_can_be_read_either_it_is_told_why_nothing_can_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stratum.engine.runtime.open_runtime", full)
    async with agent(project(tmp_path)) as codex:
        for arguments in ({}, {"plan": "x"}):
            with pytest.raises(Refused, match="no space left"):
                await codex.call("stratum_status", **arguments)
