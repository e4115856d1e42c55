"""The answer to `initialize`, given before anything heavy is imported.

The MCP SDK takes more than a second of CPU to import, several on a busy machine, and Codex drops a server that is not
marked as required after one. So the opening message is read and answered here, in milliseconds; the SDK then gets the same
message, and its answer, which a test compares with this one, is not sent again.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stratum.mcp_bridge.identity import INSTRUCTIONS, NAME, TITLE, server_version
from stratum.mcp_bridge.wire import Wire

Version = Literal["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
"""Protocol revisions that open with `initialize` and that the SDK answers in kind; any other is left to it."""


class _Client(msgspec.Struct):
    name: str
    version: str


class _Params(msgspec.Struct, rename="camel"):
    protocol_version: Version
    capabilities: dict[str, Any]
    client_info: _Client


class _Initialize(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    id: int | str
    method: Literal["initialize"]
    params: _Params


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """How a client began."""

    line: bytes | None
    """Its first message, for the SDK; `None` if it left without one."""
    answered: int | str | None = None
    """The id of the request that has its answer."""


def open_handshake(wire: Wire) -> Opening:
    """Wait for the first message, and answer it if it is a plain `initialize`."""
    line = wire.read_line()
    if line is None:
        return Opening(line=None)
    try:
        request = msgspec.json.decode(line, type=_Initialize)
    except msgspec.DecodeError:
        return Opening(line=line)
    try:
        wire.write(answer(request.id, request.params.protocol_version) + b"\n")
    except BrokenPipeError:
        return Opening(line=None)
    return Opening(line=line, answered=request.id)


def answer(request: int | str, protocol_version: str) -> bytes:
    """What the SDK answers for our server, as it was in mcp 2.3."""
    return msgspec.json.encode(
        {
            "jsonrpc": "2.0",
            "id": request,
            "result": {
                "capabilities": {
                    "prompts": {"listChanged": False},
                    "resources": {"listChanged": False, "subscribe": False},
                    "tools": {"listChanged": False},
                },
                "instructions": INSTRUCTIONS,
                "protocolVersion": protocol_version,
                "serverInfo": {"name": NAME, "title": TITLE, "version": server_version()},
            },
        }
    )
