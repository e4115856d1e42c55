"""Who makes a call: the client, and in Codex the thread that it belongs to; and the person behind it."""

from __future__ import annotations

import getpass
from typing import Any, Final

import msgspec

from stratum.mcp_bridge.tool import Call

_MAX_NAME: Final = 80


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """As far as the client says."""

    client: str
    thread: str = ""
    """Codex's, for what its session files say of the step's cost."""

    def __str__(self) -> str:
        return f"{self.client}, thread {self.thread}" if self.thread else self.client


def caller(ctx: Call) -> Caller:
    """Who makes this call."""
    request = ctx.request_context
    params = request.session.client_params
    meta: Any = request.meta or {}
    name = "an MCP client" if params is None else f"{params.client_info.name} {params.client_info.version}"
    return Caller(client=_short(name), thread=_short(meta.get("threadId")))


def person(ctx: Call) -> str:
    """Who answers a form of this client: the user whose machine this is."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "the user"
    return f"{name}, by {caller(ctx)}"


def _short(said: object) -> str:
    """What a client says of itself, fit for a record: printable, and not too long."""
    text = said if isinstance(said, str) else ""
    return "".join(char for char in text if char.isprintable())[:_MAX_NAME]
