"""Serving over streamable HTTP."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from stratum.actors.locations import STATE_MODE
from stratum.mcp_bridge.door import Door, serve_app
from stratum.mcp_bridge.gatekeeper import MIN_TOKEN, Gatekeeper
from stratum.mcp_bridge.host_check import names

PATH: Final = "/mcp"
MAX_BODY_BYTES: Final = 4 * 2**20


async def serve_http(
    server: MCPServer[Any], door: Door, listening: socket.socket, *, until: Callable[[], Awaitable[object]]
) -> None:
    """Serve at `listening`, which it closes, until `until` returns; requests in flight then have a few seconds."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_BODY_BYTES,
        # Ours stand in front, and are stricter.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    port = listening.getsockname()[1]
    keeper = Gatekeeper(
        app,
        tokens=door.tokens,
        hosts=names(door.host, port, also=door.allowed_hosts),
        origins=door.allowed_origins,
    )
    await serve_app(keeper, listening, until=until)


def own_token(folder: Path) -> tuple[str, Path]:
    """This user's token for servers on this machine, made at the first call, and the file that holds it."""
    path = folder / "mcp-token"
    folder.mkdir(mode=STATE_MODE, parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return read_tokens(path.read_text(encoding="ascii"))[0], path
    with open(file, "w", encoding="ascii") as written:
        token = secrets.token_urlsafe(32)
        written.write(f"{token}\n")
    return token, path


def read_tokens(text: str) -> tuple[str, ...]:
    """The tokens in `text`, one a line; empty lines and those that begin with `#` are skipped.

    Raises:
        ValueError: there are none, or one is too short to be safe.
    """
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    if not tokens:
        raise ValueError("there is no token; write one a line")
    if any(len(token) < MIN_TOKEN for token in tokens):
        raise ValueError(f"a token needs at least {MIN_TOKEN} characters; make one with `openssl rand -base64 32`")
    return tokens
