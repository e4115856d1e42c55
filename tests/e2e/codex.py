"""The real Codex binary for end-to-end tests: installed once for the user, and a home of its own for each test.

    async with open_codex_model(turns(say("hello"))) as model:
        home = codex_home(tmp_path, model.url)
        done = await home.run("Say hello", workdir)

The npm package (400 MB) is kept below the user's cache folder; `CODEX_BIN` names another binary. No account is needed and
nothing is sent but to the fake model.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from filelock import FileLock

PACKAGE = "@openai/codex"


def codex_binary() -> Path:
    """The Codex program, installed by npm if this user has none yet; skips where it cannot be had."""
    if named := os.environ.get("CODEX_BIN"):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stratum-tests" / "codex"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        if (found := _installed(cache)) is not None:
            return found
        said = _install(cache)
        found = _installed(cache)
        if found is None:
            pytest.skip(f"{PACKAGE} cannot be installed: {said}; or set CODEX_BIN")
        return found


@functools.cache
def _install(cache: Path) -> str:
    """What npm says at the end; it is asked once a session, for where it reaches nothing it takes minutes to find out."""
    if shutil.which("npm") is None:
        return "npm is not here"
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(cache), PACKAGE]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=540).stderr[-300:]


def _installed(cache: Path) -> Path | None:
    # The binary itself: the package's own starter is a Node program in front of it.
    found = sorted(cache.glob(f"node_modules/{PACKAGE}-*/vendor/*/bin/codex"))
    return found[0] if found else None


@dataclass(kw_only=True)
class CodexRun:
    """What one `codex exec` did."""

    code: int
    events: Sequence[Mapping[str, Any]]
    stderr: str

    @property
    def thread(self) -> str:
        return next(str(event["thread_id"]) for event in self.events if event["type"] == "thread.started")

    @property
    def items(self) -> list[Mapping[str, Any]]:
        return [event["item"] for event in self.events if event["type"] == "item.completed"]

    @property
    def said(self) -> list[str]:
        return [str(item["text"]) for item in self.items if item["type"] == "agent_message"]


@dataclass(kw_only=True)
class CodexHome:
    """A Codex that knows the fake model and nothing of this user."""

    binary: Path
    folder: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    async def run(self, prompt: str, workdir: Path, *options: str, timeout_s: float = 300) -> CodexRun:
        """`codex exec --json`, to its end."""
        argv = [str(self.binary), "exec", "--json", "--skip-git-repo-check", *options, prompt]
        with trio.fail_after(timeout_s):
            done = await trio.run_process(
                argv, cwd=workdir, env=self.env, capture_stdout=True, capture_stderr=True, check=False
            )
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
        return CodexRun(code=done.returncode, events=events, stderr=done.stderr.decode())


def codex_home(
    tmp_path: Path,
    model_url: str,
    *,
    model: str = "a-model-of-a-test",
    mcp_servers: Mapping[str, Mapping[str, Any]] | None = None,
    approval_policy: str = "never",
    sandbox: str = "workspace-write",
    more: str = "",
) -> CodexHome:
    """A home with its config.toml. `model` decides how tools are shown: `gpt-6.1-sol` in code mode, `gpt-5.5` behind a search,
    any unknown one by themselves. `more` is TOML to append, tables first."""
    home = tmp_path / "codex-home"
    (home / ".codex").mkdir(parents=True, exist_ok=True)
    lines = [
        f"model = {json.dumps(model)}",
        'model_provider = "fake"',
        "check_for_update_on_startup = false",
        f"approval_policy = {json.dumps(approval_policy)}",
        f"sandbox_mode = {json.dumps(sandbox)}",
        "suppress_unstable_features_warning = true",
        "[model_providers.fake]",
        'name = "fake"',
        f"base_url = {json.dumps(model_url)}",
        'wire_api = "responses"',
        "request_max_retries = 1",
        "stream_max_retries = 1",
        "[analytics]",
        "enabled = false",
    ]
    for name, server in (mcp_servers or {}).items():
        lines.append(f"[mcp_servers.{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in server.items() if not isinstance(value, Mapping)]
        for key, table in server.items():
            if isinstance(table, Mapping):
                lines.append(f"[mcp_servers.{name}.{key}]")
                lines += [f"{inner} = {json.dumps(value)}" for inner, value in table.items()]  # pyright: ignore[reportUnknownVariableType]
    (home / ".codex" / "config.toml").write_text("\n".join([*lines, more]) + "\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CODEX_", "OPENAI_", "RUST_"))}
    kept |= {"HOME": str(home), "CODEX_HOME": str(home / ".codex"), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return CodexHome(binary=codex_binary(), folder=home, env=kept)
