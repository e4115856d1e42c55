"""The real command, spoken to over its standard input and output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from tests.mcp_bridge.test_handshake import INITIALIZE


class Process:
    """`stratum mcp` in a project of its own."""

    def __init__(self, folder: Path) -> None:
        # Under nohup, as CI may be, the signal is ignored, and a server that is started so goes on.
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.child = subprocess.Popen(
            [sys.executable, "-m", "stratum", "mcp"],
            cwd=folder,
            env=os.environ | {"STRATUM_STATE_HOME": f"{folder}-state"},  # what is approved there is none of the user's
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        signal.signal(signal.SIGHUP, before)

    def send(self, *messages: dict[str, Any]) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
        self.child.stdin.flush()

    def receive(self) -> Any:
        assert self.child.stdout is not None
        return json.loads(self.child.stdout.readline())

    def leave(self) -> tuple[int, str]:
        """Its exit status, and the last that it said on standard error."""
        return self.ended(self.child.communicate(timeout=60)[1])

    def ended(self, said: bytes) -> tuple[int, str]:
        return self.child.returncode, said.decode().splitlines()[-1]


@pytest.fixture
def server(tmp_path: Path) -> Generator[Process]:
    process = Process(tmp_path)
    yield process
    process.child.kill()
    process.child.communicate()


def test_a_client_is_greeted_once_and_served_until_it_leaves(server: Process) -> None:
    server.send(
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
    )

    assert server.receive()["result"]["serverInfo"]["name"] == "stratum"
    assert server.receive() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert server.leave() == (0, "stratum mcp: ended: the client has left")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_though_the_client_stays(server: Process, number: signal.Signals) -> None:
    server.send(INITIALIZE)
    server.receive()
    server.send({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    server.receive()
    server.child.send_signal(number)

    assert server.child.wait(60) == 0
    assert server.child.stderr is not None
    assert server.ended(server.child.stderr.read()) == (0, f"stratum mcp: ended: told to stop by {number.name}")


def test_a_client_that_never_speaks_may_leave(server: Process) -> None:
    assert server.leave() == (0, "stratum mcp: ended: the client left without a word")


def test_a_client_that_hears_nothing_may_leave(tmp_path: Path) -> None:
    server = Process(tmp_path)
    assert server.child.stdout is not None
    server.child.stdout.close()
    server.send(INITIALIZE)
    assert server.child.stdin is not None and server.child.stderr is not None
    server.child.stdin.close()

    assert server.child.wait(60) == 0
    with server.child.stderr as said:
        assert server.ended(said.read()) == (0, "stratum mcp: ended: the client left without a word")


async def test_a_client_of_the_stateless_protocol_is_served_too(tmp_path: Path) -> None:
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "stratum", "mcp"], cwd=tmp_path, env=dict(os.environ)
    )
    async with Client(command) as client:
        assert "stratum_audit" in {tool.name for tool in (await client.list_tools()).tools}
        assert client.protocol_version == "2026-07-28"


def test_nothing_heavy_is_imported_before_the_client_is_answered() -> None:
    heavy = "mcp", "mcp_types", "pydantic", "trio", "anyio", "openai", "httpx2", "sqlite3", "starlette"
    program = f"import stratum.cli.mcp_command, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
