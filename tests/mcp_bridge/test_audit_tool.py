from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import TextContent

from stratum import contract, flow, infer, open_runtime
from stratum.engine.providers.scripted import scripted
from stratum.mcp_bridge.bridge import Project
from stratum.mcp_bridge.server import build_server


@contract
class Word:
    text: str


@infer(intent="Say a word", ensure=lambda r: len(r.text) > 1)
def say(about: str) -> Word: ...


@flow
async def speak(about: str) -> str:
    return (await say(about)).text


async def spoken(journal: Path) -> str:
    """The id of a run whose one step was tried twice."""
    provider = scripted({"text": "x"}, {"text": "yes"})
    async with open_runtime(provider=provider, journal=journal) as runtime:
        await speak("anything")
        runs = await runtime.journal.runs()
    return next(run.run for run in runs if run.name == "speak")


def project(tmp_path: Path) -> Project:
    return Project(workspace=tmp_path, journal=tmp_path / "journal.db", provider=scripted())


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_run_is_audited_step_by_step(mode: Any, tmp_path: Path) -> None:
    """CASES H19: it was done by another session, which has ended."""
    run = await spoken(tmp_path / "journal.db")
    async with Client(build_server(project(tmp_path)), mode=mode) as client:
        audited = await client.call_tool("stratum_audit", {"plan": run})

    view = audited.structured_content
    assert not audited.is_error and view is not None
    assert isinstance(audited.content[0], TextContent)
    assert audited.content[0].text == "Total: 0.001 USD, 1 retry, all passing"
    assert view["text"].splitlines()[0] == "Step say#1: 2 attempts, 0.001 USD — retry: actual: r.text = 'x'"
    (step,) = view["steps"]
    assert (step["step"], step["attempts"], step["state"]) == ("say#1", 2, "passed")
    assert step["retries"] == ["actual: r.text = 'x'"]
    assert step["usd"] == view["total_usd"] > 0


async def test_the_audit_is_a_resource_too(tmp_path: Path) -> None:
    run = await spoken(tmp_path / "journal.db")
    async with Client(build_server(project(tmp_path))) as client:
        audited = await client.call_tool("stratum_audit", {"plan": run})
        read = await client.read_resource(f"stratum://runs/{run}/audit")
        with pytest.raises(MCPError, match="not in this journal"):
            await client.read_resource("stratum://runs/nothing/audit")

    assert audited.structured_content is not None
    assert [content.text for content in read.contents] == [audited.structured_content["text"]]  # type: ignore[union-attr]  # text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "plan: expected a value (required), got nothing"),
        ({"plan": "nothing"}, "run nothing: not in this journal"),
        ({"plan": "../../etc/passwd"}, "not in this journal"),
        ({"plan": "x' OR '1'='1"}, "not in this journal"),
        ({"plan": None}, "plan: expected string, got null"),
        ({"plan": 7}, "plan: expected string, got 7"),
        ({"plan": ["nothing"]}, "plan: expected string, got array of 1 item"),
        ({"plan": "x" * 5_000_000}, "at most 64 characters"),
        ({"plan": "nothing", "plam": 1}, 'there is no argument "plam"; did you mean "plan"?'),
    ],
)
async def test_what_cannot_be_audited_is_refused_with_the_reason(
    arguments: dict[str, Any], told: str, tmp_path: Path
) -> None:
    async with Client(build_server(project(tmp_path))) as client:
        refused = await client.call_tool("stratum_audit", arguments)

    assert refused.is_error
    assert isinstance(refused.content[0], TextContent)
    assert told in refused.content[0].text
    assert len(refused.content[0].text) < 1_000


async def test_a_journal_that_cannot_be_opened_is_told_to_whoever_asks(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    journal.write_bytes(os.urandom(10_000))
    async with Client(build_server(project(tmp_path))) as client:
        refused = await client.call_tool("stratum_audit", {"plan": "any"})
        again = await client.call_tool("stratum_audit", {"plan": "any"})

    assert refused.is_error and again.is_error
    assert isinstance(refused.content[0], TextContent)
    assert "journal.db" in refused.content[0].text
