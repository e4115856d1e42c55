"""The hooks: what Codex is told when a session starts, after a tool, and before a turn ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.fakes.git import git

from stratum.cli import stratum
from stratum.mcp_bridge.codex.hooks import run_hook

CALL = "import openai\nopenai.responses.create(model='m', input='q')\n"


def hook(event: str, folder: Path, **given: Any) -> Any:
    answer = run_hook(event, json.dumps({"cwd": str(folder), **given}).encode())
    return json.loads(answer) if answer else None


@pytest.fixture
def work(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "old.py").write_text(CALL)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def patch(name: str) -> dict[str, Any]:
    return {
        "tool_name": "apply_patch",
        "tool_input": {"command": f"*** Begin Patch\n*** Add File: {name}\n+x\n*** End Patch"},
    }


def test_a_session_begins_with_the_framing(work: Path) -> None:
    answer = hook("session-start", work, source="startup")
    assert answer["hookSpecificOutput"]["hookEventName"] == "SessionStart"
    assert "stratum_plan" in answer["hookSpecificOutput"]["additionalContext"]


def test_drift_in_a_patched_file_is_told_at_once(work: Path) -> None:
    (work / "new.py").write_text(CALL)
    told = hook("post-tool-use", work, **patch("new.py"))["hookSpecificOutput"]["additionalContext"]
    assert "new.py:2: untyped-call" in told
    assert "old.py" not in told


def test_a_patch_of_other_files_tells_nothing(work: Path) -> None:
    (work / "new.py").write_text(CALL)
    assert hook("post-tool-use", work, **patch("README.md")) is None
    assert hook("post-tool-use", work, **patch("../../etc/passwd.py")) is None


def test_after_a_command_only_what_was_just_written_is_told(work: Path) -> None:
    (work / "new.py").write_text(CALL)
    assert hook("post-tool-use", work, tool_name="Bash", tool_input={"command": "make"}) is not None
    os.utime(work / "new.py", (1, 1))
    assert hook("post-tool-use", work, tool_name="Bash", tool_input={"command": "make"}) is None


def test_the_end_of_a_turn_is_stopped_once_for_drift_that_is_new(work: Path) -> None:
    assert hook("stop", work, stop_hook_active=False) is None
    (work / "old.py").write_text("x = 1\n" + CALL)
    assert hook("stop", work, stop_hook_active=False) is None  # the same call, on another line
    (work / "new.py").write_text(CALL)
    answer = hook("stop", work, stop_hook_active=False)
    assert answer["decision"] == "block" and "new.py:2: unbudgeted-call" in answer["reason"]
    assert hook("stop", work, stop_hook_active=True) is None


@pytest.mark.parametrize("event", ["session-start", "post-tool-use", "stop"])
@pytest.mark.parametrize(
    "given", [b"", b"[]", b"{", b"\xff", b'{"cwd": 3}', b'{"cwd": "/nowhere/\\u0000"}', b"[" * 100_000]
)
def test_a_hook_never_fails(event: str, given: bytes) -> None:
    done = CliRunner().invoke(stratum, ["codex", "hook", event], input=given)
    assert done.exit_code == 0
    assert done.output == "" or "SessionStart" in done.output


def test_outside_a_repository_a_patched_file_is_checked_whole(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(CALL)
    assert hook("post-tool-use", tmp_path, **patch("new.py")) is not None
    assert hook("stop", tmp_path) is None
