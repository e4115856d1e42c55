"""Serving one client over standard input and output."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any, Self

import anyio
import msgspec
import trio
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import ReadStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR
from pydantic import ValidationError

from stratum.mcp_bridge.handshake import Opening
from stratum.mcp_bridge.trio_wire import TrioWire
from stratum.mcp_bridge.unlike_a_message import unlike_a_message
from stratum.mcp_bridge.wire import Wire

_log = logging.getLogger("stratum.mcp")


async def serve_stdio(server: MCPServer[Any], wire: Wire, opening: Opening, *, closing: trio.Event) -> None:
    """Serve the client at `wire`, which began with `opening`, until it leaves; then `closing` is set."""
    connected = TrioWire(wire)
    messages = _Messages(connected, opening)
    source: Any = _Lines(connected, messages, opening, closing)
    sink: Any = messages
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]  # run_stdio_async takes no streams; the SDK's own clients do the same
    async with stdio_server(stdin=source, stdout=sink) as (read, write):
        await lowlevel.run(_Readable(read, messages), write, lowlevel.create_initialization_options())


class _Lines:
    """What the client says, a line at a time, the opening line once more; without what the SDK would take for something else."""

    def __init__(self, wire: TrioWire, sink: _Messages, opening: Opening, closing: trio.Event) -> None:
        self._wire = wire
        self._sink = sink
        self._first = opening.line
        self._closing = closing

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> str:
        while (line := await self._next()) is not None:
            refused = unlike_a_message(line)
            if refused is None:
                return line.decode()
            await self._sink.refuse(refused.why, request=refused.id)
        self._closing.set()
        raise StopAsyncIteration

    async def _next(self) -> bytes | None:
        line, self._first = self._first, None
        return await self._wire.receive_line() if line is None else line


class _Readable:
    """The client's messages without those that cannot be read. Of each it is told: the SDK drops them, and the client waits."""

    def __init__(self, read: ReadStream[SessionMessage | Exception], sink: _Messages) -> None:
        self._read = read
        self._sink = sink

    async def receive(self) -> SessionMessage:
        while isinstance(item := await self._read.receive(), Exception):
            # Without an id: that of a message which is no message could be another's.
            await self._sink.refuse(_unreadable(item), request=None)
        return item

    async def aclose(self) -> None:
        await self._read.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


def _unreadable(problem: Exception) -> str:
    errors = problem.errors(include_url=False, include_input=False) if isinstance(problem, ValidationError) else []
    syntax = [f": {error['msg']}" for error in errors if error["type"] == "json_invalid"]
    return f"it is no JSON-RPC message{''.join(syntax)}; write one message a line"


class _Messages:
    """What the client is told, without the answer that it has already."""

    def __init__(self, wire: TrioWire, opening: Opening) -> None:
        self._wire = wire
        self._answered = opening.answered
        self._gone = False

    async def write(self, text: str) -> None:
        message = text.encode()
        if self._answered is not None and _answers(message, self._answered):
            self._answered = None
            return
        try:
            if not self._gone:
                await self._wire.send(message)
        except BrokenPipeError:
            self._gone = True  # its input ends next, and with it the server

    async def refuse(self, why: str, *, request: int | str | None) -> None:
        """Say why a line was left out: to whoever waits for the answer to `request`, if it was one."""
        said = f"a line was left out, because {why}"
        _log.warning("%s", said)
        code = PARSE_ERROR if request is None else INVALID_REQUEST
        error = {"jsonrpc": "2.0", "id": request, "error": {"code": code, "message": said}}
        await self.write(msgspec.json.encode(error).decode() + "\n")

    async def flush(self) -> None:
        """Nothing is held back."""


class _Reply(msgspec.Struct):
    id: int | str | None = None
    method: str = ""


def _answers(message: bytes, request: int | str) -> bool:
    reply = msgspec.json.decode(message, type=_Reply)
    return not reply.method and reply.id == request
