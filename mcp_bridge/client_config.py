"""How a client is told to start the server, in the forms that clients read."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from stratum.mcp_bridge.identity import NAME

CODEX_TOOLS: Final = {"stratum_execute": "approve", "stratum_rollback": "prompt"}
"""How Codex asks before a tool: not for `stratum_execute`, whose own question names the plan's digest."""

PASSED_ON: Final = (
    "CODEX_HOME",
    *("STRATUM_STATE_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "STRATUM_JOURNAL"),
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "STRATUM_BASE_URL", "STRATUM_MODEL", "STRATUM_PRICE", "STRATUM_REPLAY"),
    *("STRATUM_SERVICE_TIER", "STRATUM_TRANSPORT", "STRATUM_LOCAL_MODEL", "STRATUM_LOCAL_SOURCE"),
    *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"),
)
"""Codex gives a server little more than HOME and PATH: without these it would look for approvals in another folder than
`stratum approve` writes to, and have no model to call. Those that are not set are left out."""


def server_command(*, options: Sequence[str]) -> list[str]:
    """The command that starts the server: the installed script, else this Python."""
    script = shutil.which("stratum", path=str(Path(sys.executable).parent)) or shutil.which("stratum")
    return [*([script] if script else [sys.executable, "-m", "stratum"]), "mcp", *options]


def steps_options(places: Sequence[str]) -> list[str]:
    """`--steps PLACE` for each."""
    return [part for place in places for part in ("--steps", place)]


def client_config(form: str, command: Sequence[str]) -> str:
    """The block to paste; `form` is one of `FORMATS`."""
    return FORMATS[form](command)


def _json(key: str, **extra: str) -> Callable[[Sequence[str]], str]:
    def block(command: Sequence[str]) -> str:
        entry: dict[str, Any] = {**extra, "command": command[0], "args": list(command[1:])}
        return json.dumps({key: {NAME: entry}}, indent=2)

    return block


def codex_server(command: Sequence[str]) -> dict[str, Any]:
    """The server's entry as Codex reads it, without the comments."""
    return {
        "command": command[0],
        "args": list(command[1:]),
        "required": True,
        "startup_timeout_sec": 30,
        "tool_timeout_sec": 300,
        "env_vars": list(PASSED_ON),
        "omit_tools_from": ["deferred"],
        "tools": {tool: {"approval_mode": mode} for tool, mode in CODEX_TOOLS.items()},
    }


_WHY: Final = {
    "required": "Without it, a server that takes longer than a second to start is silently left out.",
    "tool_timeout_sec": "A step's commands and its judge may take a while.",
    "env_vars": "Your settings, where they are set; from CODEX_HOME, the cost of the agent's own steps is read.",
    "omit_tools_from": "Shows the tools up front on every model.",
}


def _codex(command: Sequence[str]) -> str:
    server = codex_server(command)
    tools: dict[str, dict[str, str]] = server.pop("tools")
    lines = [f"[mcp_servers.{NAME}]"]
    for key, value in server.items():
        lines += [f"# {_WHY[key]}"] if key in _WHY else []
        lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")  # what JSON can say here is TOML too
    for tool, options in tools.items():
        lines += ["", f"[mcp_servers.{NAME}.tools.{tool}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    return "\n".join(lines)


FORMATS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "json": _json("mcpServers"),
    "vscode": _json("servers", type="stdio"),
    "codex": _codex,
}
"""By name, what prints a block: `json` is read by most clients."""
