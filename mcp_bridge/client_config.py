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


def server_command(*, options: Sequence[str] = ()) -> list[str]:
    """The command that starts the server: the installed script, else this Python."""
    script = shutil.which("stratum", path=str(Path(sys.executable).parent)) or shutil.which("stratum")
    return [*([script] if script else [sys.executable, "-m", "stratum"]), "mcp", *options]


def client_config(form: str, command: Sequence[str]) -> str:
    """The block to paste; `form` is one of `FORMATS`."""
    return FORMATS[form](command)


def _json(key: str, **extra: str) -> Callable[[Sequence[str]], str]:
    def block(command: Sequence[str]) -> str:
        entry: dict[str, Any] = {**extra, "command": command[0], "args": list(command[1:])}
        return json.dumps({key: {NAME: entry}}, indent=2)

    return block


def _codex(command: Sequence[str]) -> str:
    lines = [
        f"[mcp_servers.{NAME}]",
        f"command = {_toml(command[0])}",
        f"args = [{', '.join(map(_toml, command[1:]))}]",
        "# Without it, a server that takes longer than a second to start is silently left out.",
        "required = true",
        "# Where the cost of the agent's own steps is read from.",
        'env_vars = ["CODEX_HOME"]',
        "# Shows the tools up front on every model.",
        'omit_tools_from = ["deferred"]',
    ]
    for tool, mode in CODEX_TOOLS.items():
        lines += ["", f"[mcp_servers.{NAME}.tools.{tool}]", f'approval_mode = "{mode}"']
    return "\n".join(lines)


def _toml(text: str) -> str:
    """A basic string: JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)


FORMATS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "json": _json("mcpServers"),
    "vscode": _json("servers", type="stdio"),
    "codex": _codex,
}
"""By name, what prints a block: `json` is read by most clients."""
