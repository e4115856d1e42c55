"""What `stratum codex install` writes, read by the real Codex: server, framing, skill, hooks, plugin."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.codex import CodexHome, codex_home
from tests.fakes.codex_model import CodexRequest, open_codex_model, say, turns, write

pytestmark = pytest.mark.e2e

CALL = "import openai\nopenai.responses.create(model='m', input='q')"
TRUSTED = "--dangerously-bypass-hook-trust"


def stratum(home: CodexHome, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "stratum", *arguments],
        cwd=folder,
        env=home.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def codex(home: CodexHome, *arguments: str) -> str:
    done = subprocess.run(
        [home.binary, *arguments], env=home.env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repository(folder: Path) -> Path:
    folder.mkdir()
    git = ("git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    return folder


def heard(request: CodexRequest) -> str:
    return json.dumps(request.body)


def picture(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("scope", ["user", "project"])
async def test_codex_has_the_tools_the_framing_the_skill_and_the_drift_check(scope: str, tmp_path: Path) -> None:
    work = repository(tmp_path / "work")
    script = turns(write("llm.py", CALL), say("done"), say("corrected"))
    async with open_codex_model(script) as fake:
        trust = f"[projects.{json.dumps(str(work))}]\ntrust_level = 'trusted'"
        home = codex_home(tmp_path, fake.url, more=trust)
        before = picture(home.folder), picture(work)
        stratum(home, work, "codex", "install", "--yes", "--scope", scope)
        done = await home.run("Write llm.py", work, TRUSTED)
    assert fake.failures == []
    assert done.code == 0, done.stderr
    first, second, third = fake.requests
    assert ("mcp__stratum", "stratum_audit") in first.tools
    assert heard(first).count("call stratum_plan before touching anything") >= 2  # AGENTS.md and the hook
    assert "Plan, execute and audit any task of more than one step" in heard(first)
    assert "llm.py:2: untyped-call" in heard(second)  # after the patch
    assert "Correct these" in heard(third)  # instead of the end of the turn
    assert done.said[-1] == "corrected"

    (work / "llm.py").unlink()
    stratum(home, work, "codex", "uninstall", "--yes", "--scope", scope)
    config = ".codex/config.toml"
    assert (picture(home.folder)[config], picture(work).get(config)) == (before[0][config], before[1].get(config))
    assert not (work / "AGENTS.md").exists() and not (home.folder / ".codex/AGENTS.md").exists()


async def test_the_plugin_brings_server_skill_and_hooks(tmp_path: Path) -> None:
    work = repository(tmp_path / "work")
    script = turns(write("llm.py", CALL), say("done"), say("corrected"))
    async with open_codex_model(script) as fake:
        home = codex_home(tmp_path, fake.url)
        stratum(home, work, "codex", "install", "--yes", "--scope", "user", "--plugin")
        codex(home, "plugin", "marketplace", "add", str(home.folder / ".codex/stratum-market"))
        codex(home, "plugin", "add", "stratum@stratum-market")
        server: Any = json.loads(codex(home, "mcp", "get", "stratum", "--json"))
        assert (server["startup_timeout_sec"], server["tool_timeout_sec"]) == (30, 300)
        done = await home.run("Write llm.py", work, TRUSTED)
    assert done.code == 0, done.stderr
    first, second, _ = fake.requests
    assert ("mcp__stratum", "stratum_audit") in first.tools
    assert "call stratum_plan before touching anything" in heard(first)
    assert "Plan, execute and audit any task of more than one step" in heard(first)
    assert "llm.py:2: untyped-call" in heard(second)

    codex(home, "plugin", "remove", "stratum@stratum-market")
    codex(home, "plugin", "marketplace", "remove", "stratum-market")
    stratum(home, work, "codex", "uninstall", "--yes", "--scope", "user")
    assert not (home.folder / ".codex/stratum-market").exists()
