from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tests.mcp_bridge.agents import Refused, agent, project

UNTYPED = """\
import openai

def ask(text: str) -> str:
    answer = openai.OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content
"""


async def test_code_that_calls_a_model_past_stratum_is_found(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ask.py").write_text(UNTYPED)
    (tmp_path / "fine.py").write_text("import openai\n")
    async with agent(project(tmp_path)) as codex:
        everywhere = await codex.call("stratum_drift")
        there = await codex.call("stratum_drift", paths=["fine.py"])

    assert {each["path"] for each in everywhere["findings"]} == {"src/ask.py"}
    assert everywhere["findings"][0]["line"] == 4
    assert "@infer" in " ".join(each["instead"] for each in everywhere["findings"])
    assert (everywhere["files"], there["files"], there["total"]) == (2, 1, 0)


async def test_only_what_is_new_since_a_commit_is_told(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    (tmp_path / "old.py").write_text(UNTYPED)
    for command in (["init", "-q"], ["add", "old.py"], ["commit", "-qm", "old"]):
        await trio.run_process([*git, *command])
    (tmp_path / "new.py").write_text(UNTYPED)
    async with agent(project(tmp_path)) as codex:
        new = await codex.call("stratum_drift", since="HEAD")
        with pytest.raises(Refused, match="no-such-revision"):
            await codex.call("stratum_drift", since="no-such-revision")

    assert {each["path"] for each in new["findings"]} == {"new.py"}


@pytest.mark.parametrize("path", ["..", "/etc", "missing.py", "link", "a\0b", "x" * 900])
async def test_nothing_outside_the_project_is_looked_at(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "link").symlink_to("/etc")
    async with agent(project(folder)) as codex:
        with pytest.raises(Refused, match="in the project|in it"):
            await codex.call("stratum_drift", paths=[path])
