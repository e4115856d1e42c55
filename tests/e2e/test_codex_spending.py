"""What a step cost, read from session files that the real Codex has just written, by the `_meta` of its tool calls."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import pytest
import trio
from tests.e2e.codex import codex_home
from tests.e2e.codex_app_server import approve, open_app_server
from tests.e2e.test_mcp_codex import (
    AUDIT,
    EXECUTE,
    FIRST,
    PLAN,
    PROJECT_JOURNAL,
    SECOND_MENDED,
    SECOND_WRONG,
    TASK,
    Project,
)
from tests.fakes.codex_model import call, open_codex_model, run, say, search, turns

from stratum.contracts.price import Price, Usage
from stratum.mcp_bridge.codex_sessions import CodexSessions, ToolCall

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("model", ["a-model-of-a-test", "gpt-5.5", "gpt-6.1-sol"])
async def test_three_responses_between_two_calls_are_what_the_step_cost(model: str, tmp_path: Path) -> None:
    (work := tmp_path / "work").mkdir()
    seen = tmp_path / "meta.jsonl"
    server = {
        "command": sys.executable,
        "args": ["-m", "tests.fakes.meta_server", str(seen)],
        "cwd": str(ROOT),
        "required": True,
        "env": {"PYTHONPATH": f"{ROOT}/src:{ROOT}"},
    }
    note = call("note", {}, server="stratum")
    start = (search("note"),) if model == "gpt-5.5" else ()
    script = turns(*start, note, run("echo one"), run("echo two"), note, say("done"))
    async with open_codex_model(script, usage={"input": 1000, "cached": 400, "output": 50, "reasoning": 10}) as fake:
        home = codex_home(tmp_path, fake.url, model=model, mcp_servers={"stratum": server})
        done = await home.run("Note it", work)
    assert done.code == 0, done.stderr
    metas = [json.loads(line) for line in seen.read_text().splitlines()]
    since, until = map(ToolCall.of, metas)
    assert since is not None and until is not None and since.thread == done.thread

    prices = {model: Price.per_million(input=1, output=10, cached=0.1)}
    used = await CodexSessions(home.folder / ".codex", prices=prices).spent_soon(since, until)
    assert used.usage == Usage(input_tokens=3000, output_tokens=150, cached_tokens=1200, reasoning_tokens=30), used.why
    assert used.picousd == 1800 * 10**6 + 1200 * 10**5 + 150 * 10**7
    assert (used.models, len(used.responses)) == ((model,), 3)


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-6.1-sol"])
async def test_the_server_books_what_its_agents_steps_took(model: str, tmp_path: Path) -> None:
    script = turns(PLAN, EXECUTE, FIRST, SECOND_WRONG, SECOND_MENDED, AUDIT, say("done"))
    with trio.fail_after(300):
        async with open_codex_model(script, usage={"input": 1000, "cached": 400, "output": 50}) as fake:
            project = Project(tmp_path, fake, codex_model=model)
            async with open_app_server(project.home, approve) as codex:
                turn = await codex.turn(TASK, project.folder)
                assert await turn.ended() == "completed"
    assert project.states() == ["succeeded"]
    with sqlite3.connect(f"file:{project.folder / PROJECT_JOURNAL}?mode=ro", uri=True) as journal:
        booked = journal.execute(
            "SELECT step_id, counted_tokens, model FROM reservations ORDER BY reserved_at"
        ).fetchall()
    assert booked == [("1", 1050, ""), ("2", 1050, ""), ("2", 1050, "")]
