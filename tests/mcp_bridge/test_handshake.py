from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import mcp_types
import msgspec
import pytest
import trio
from mcp.server.mcpserver import MCPServer
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage

from stratum.mcp_bridge.bridge import Project
from stratum.mcp_bridge.handshake import Opening, Version, answer, open_handshake
from stratum.mcp_bridge.identity import FRAMING, INSTRUCTIONS
from stratum.mcp_bridge.server import build_server
from stratum.mcp_bridge.wire import Wire

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "codex", "version": "1"}},
}


def opened(message: dict[str, Any] | bytes) -> tuple[Opening, bytes]:
    """What is made of a first message, and what was answered at once."""
    line = message if isinstance(message, bytes) else msgspec.json.encode(message)
    source, arriving = os.pipe()
    replies, sink = os.pipe()
    os.write(arriving, line + b"\n")
    os.close(arriving)
    opening = open_handshake(Wire(source, sink))
    os.close(sink)
    return opening, os.read(replies, 100_000)


async def answered_by_the_sdk(server: MCPServer[Any], version: str) -> Any:
    params = {**INITIALIZE["params"], "protocolVersion": version}
    request = mcp_types.JSONRPCRequest(jsonrpc="2.0", id=0, method="initialize", params=params)
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    async with create_client_server_memory_streams() as ((read, write), server_streams), trio.open_nursery() as nursery:
        nursery.start_soon(lowlevel.run, *server_streams, lowlevel.create_initialization_options())
        await write.send(SessionMessage(request))
        received = await read.receive()
        nursery.cancel_scope.cancel()
    assert isinstance(received, SessionMessage)
    return msgspec.json.decode(received.message.model_dump_json(by_alias=True, exclude_unset=True))


@pytest.mark.parametrize("version", get_args(Version))
def test_an_initialize_is_answered_at_once(version: str) -> None:
    message = {**INITIALIZE, "id": "first", "params": {**INITIALIZE["params"], "protocolVersion": version}}
    opening, sent = opened(message)

    assert opening == Opening(line=msgspec.json.encode(message), answered="first")
    reply = msgspec.json.decode(sent)
    assert (reply["id"], reply["result"]["protocolVersion"]) == ("first", version)


@pytest.mark.parametrize(
    "message",
    [
        {**INITIALIZE, "params": {**INITIALIZE["params"], "protocolVersion": "2026-07-28"}},
        {**INITIALIZE, "params": {**INITIALIZE["params"], "protocolVersion": "1999-01-01"}},
        {**INITIALIZE, "params": {"protocolVersion": "2025-06-18"}},
        {**INITIALIZE, "id": None},
        {**INITIALIZE, "id": 1.5},
        {**INITIALIZE, "jsonrpc": "1.0"},
        {**INITIALIZE, "method": "tools/list"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        b"[" * 50_000,
        b"\xff\xfe",
        b"",
    ],
)
def test_anything_else_is_left_to_the_sdk(message: dict[str, Any] | bytes) -> None:
    opening, sent = opened(message)

    assert (opening.answered, sent) == (None, b"")
    assert opening.line is not None


def test_a_client_that_leaves_at_once_said_nothing() -> None:
    source, arriving = os.pipe()
    os.close(arriving)

    assert open_handshake(Wire(source, 1)) == Opening(line=None)


@pytest.mark.parametrize("version", get_args(Version))
async def test_what_is_answered_at_once_is_what_the_sdk_answers(version: str, tmp_path: Path) -> None:
    server = build_server(Project(workspace=tmp_path, journal=tmp_path / "journal.db"))

    assert msgspec.json.decode(answer(0, version)) == await answered_by_the_sdk(server, version)


def test_the_framing_is_the_first_line_of_the_instructions_and_short_enough_to_be_seen() -> None:
    assert INSTRUCTIONS.splitlines()[0] == FRAMING
    assert len(FRAMING) <= 250
