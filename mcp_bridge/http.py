"""Serving over streamable HTTP, by hypercorn's trio worker."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from hypercorn.config import Config
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType]  # its WSGI types are bare dicts
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from stratum.actors.locations import STATE_MODE
from stratum.mcp_bridge.gatekeeper import MIN_TOKEN, Gatekeeper, names

PATH: Final = "/mcp"
DEFAULT_PORT: Final = 8321
MAX_BODY_BYTES: Final = 4 * 2**20
_GRACE_S: Final = 3.0


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server listens, and to whom."""

    tokens: tuple[str, ...]
    """Each opens sessions of its own."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0: any that is free."""
    allowed_hosts: tuple[str, ...] = ()
    """Names besides its own by which it is reached, as behind a proxy."""
    allowed_origins: tuple[str, ...] = ()
    """Pages that may call it, as `http://localhost:6274`."""


def listen(door: Door) -> socket.socket:
    """A socket that takes connections at the door.

    Raises:
        OSError: the address cannot be had.
    """
    return socket.create_server((door.host, door.port), family=socket.AF_INET6 if ":" in door.host else socket.AF_INET)


async def serve_http(
    server: MCPServer[Any], door: Door, listening: socket.socket, *, until: Callable[[], Awaitable[None]]
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
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]  # hypercorn closes it
    config.graceful_timeout = _GRACE_S
    config.include_server_header = False
    config.errorlog = None
    await serve(keeper, config, shutdown_trigger=until)  # type: ignore[arg-type]  # starlette's ASGI types are not hypercorn's


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
