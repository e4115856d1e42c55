"""A provider on the loopback interface: OpenAI's two APIs over real HTTP, with a bill, and faults on demand.

In a test's own loop:

    async with open_server(answers(b'{"level": "low"}')) as server:
        provider = OpenAI("key", server.url)

In a process of its own, `serve_process()`, which survives what the test kills; or by hand,
`python -m tests.fakes --help`. HTTP is read by hand, so that a benchmark's server
costs a small part of what it serves. What it can answer is in `behaviours.py`.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

import msgspec
import trio

from stratum.contracts.price import Usage
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.protocol import Dialect, Received
from stratum.engine.dialects.responses import ResponsesDialect


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider would charge for: a request received in full, whether or not its answer arrived."""

    number: int
    model: str
    tool: str
    usage: Usage


@dataclass(kw_only=True)
class Exchange:
    """One request, received in full, and the way back to its sender."""

    server: FakeOpenAI
    number: int
    """From 1, over the server's life."""
    path: str
    headers: Mapping[str, str]
    body: bytes
    dialect: Dialect
    received: Received
    stream: trio.abc.Stream

    def bill(self, usage: Usage) -> None:
        self.server.bill(Bill(number=self.number, model=self.received.model, tool=self.received.tool, usage=usage))

    async def respond(self, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer; the connection stays open."""
        named = {"content-type": "application/json", **(headers or {}), "content-length": str(len(body))}
        await self.stream.send_all(head(status, named) + body)

    async def begin_events(self) -> None:
        await self.stream.send_all(head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))

    async def send_event(self, data: bytes) -> None:
        event = b"data: %b\n\n" % data
        await self.stream.send_all(b"%x\r\n%b\r\n" % (len(event), event))

    async def end_events(self) -> None:
        await self.stream.send_all(b"0\r\n\r\n")

    async def until_closed(self) -> None:
        """Wait for the client to hang up."""
        while await self.stream.receive_some():
            pass

    async def reset(self) -> None:
        """Drop the connection with RST, as a server that crashes does."""
        assert isinstance(self.stream, trio.SocketStream), "only without TLS"
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(self.stream)


Behaviour = Callable[[Exchange], Awaitable[None]]
"""Answers one request, in any way it likes."""


class FakeOpenAI:
    """A running server; `behaviour` may be changed while it runs."""

    def __init__(self, behaviour: Behaviour, *, log: Path | None = None) -> None:
        self.behaviour = behaviour
        self.url = ""
        self.requests: list[bytes] = []
        """Bodies, in the order they arrived."""
        self.headers: list[Mapping[str, str]] = []
        self.bills: list[Bill] = []
        self.connections = 0
        """Accepted so far."""
        self.open_connections = 0
        self._count = 0
        # Unbuffered: a bill is on record before its answer leaves.
        self._log = log.open("ab", buffering=0) if log else None

    def bill(self, bill: Bill) -> None:
        if self._log is None:
            self.bills.append(bill)
        else:
            self._log.write(msgspec.json.encode(bill) + b"\n")

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        self.open_connections += 1
        try:
            await self._answer_requests(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The client hung up, or the behaviour did.
            return
        finally:
            self.open_connections -= 1
            await trio.aclose_forcefully(stream)

    async def _answer_requests(self, stream: trio.abc.Stream) -> None:
        buffer = bytearray()
        while (request := await read_request(stream, buffer)) is not None:
            path, headers, body = request
            dialect = _dialect(path, body)
            self._count += 1
            if self._log is None:
                self.requests.append(body)
                self.headers.append(headers)
            await self.behaviour(
                Exchange(
                    server=self,
                    number=self._count,
                    path=path,
                    headers=headers,
                    body=body,
                    dialect=dialect,
                    received=dialect.receive(body),
                    stream=stream,
                )
            )


_RESPONSES = ResponsesDialect()
_CHAT_TOOL = ChatDialect()
_CHAT_SCHEMA = ChatDialect("json_schema")


def _dialect(path: str, body: bytes) -> Dialect:
    if path.endswith("/responses"):
        return _RESPONSES
    return _CHAT_SCHEMA if b'"response_format":' in body else _CHAT_TOOL


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Status line and headers."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def read_request(stream: trio.abc.Stream, buffer: bytearray) -> tuple[str, dict[str, str], bytes] | None:
    """Path, headers and body of the next request; `None` once the client has hung up."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if not await _receive(stream, buffer):
            return None
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    whole = end + 4 + int(headers.get("content-length", "0"))
    while len(buffer) < whole:
        if not await _receive(stream, buffer):
            return None
    body = bytes(buffer[end + 4 : whole])
    del buffer[:whole]
    return first.split(" ")[1].partition("?")[0], headers, body


async def _receive(stream: trio.abc.Stream, buffer: bytearray) -> bool:
    received = await stream.receive_some(65536)
    buffer += received
    return bool(received)


@asynccontextmanager
async def open_server(
    behaviour: Behaviour, *, tls: ssl.SSLContext | None = None, log: Path | None = None, port: int = 0
) -> AsyncGenerator[FakeOpenAI]:
    """A server in this event loop, until the block is left."""
    server = FakeOpenAI(behaviour, log=log)
    plain = await trio.open_tcp_listeners(port, host="127.0.0.1", backlog=4096)
    listeners = [listener if tls is None else trio.SSLListener(listener, tls) for listener in plain]
    port = plain[0].socket.getsockname()[1]
    server.url = f"https://localhost:{port}/v1" if tls else f"http://127.0.0.1:{port}/v1"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, server.serve, listeners))
        yield server
        nursery.cancel_scope.cancel()


@dataclass(kw_only=True)
class ServerProcess:
    """A server in a process of its own."""

    url: str
    log: Path
    pid: int

    def bills(self) -> list[Bill]:
        """Everything billed so far."""
        return [msgspec.json.decode(line, type=Bill) for line in self.log.read_bytes().splitlines()]


@contextmanager
def serve_process(log: Path, *arguments: str) -> Generator[ServerProcess]:
    """`python -m tests.fakes --log LOG ARGUMENTS`, ended when the block is left or this process dies."""
    root = Path(__file__).resolve().parents[2]
    log.touch()
    command = [sys.executable, "-m", "tests.fakes", "--log", str(log), *arguments]
    # It ends when its standard input does, so it cannot outlive whoever holds the other end; and not at a Ctrl-C for that one.
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            started = json.loads(process.stdout.readline())
            yield ServerProcess(url=started["url"], log=log, pid=process.pid)
        finally:
            process.terminate()
