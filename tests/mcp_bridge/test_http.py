from __future__ import annotations

import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from stratum.mcp_bridge.bridge import Project
from stratum.mcp_bridge.door import Door, listen
from stratum.mcp_bridge.http import serve_http
from stratum.mcp_bridge.server import build_server
from stratum.mcp_bridge.tokens import own_token, read_tokens

TOKEN, OTHER = "a" * 40, "b" * 40
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncGenerator[str]:
    """A real server on the loopback interface; its URL."""
    door = Door(port=0, tokens=(TOKEN, OTHER))
    listening = listen(door)
    port = listening.getsockname()[1]
    stop = trio.Event()
    server = build_server(Project(workspace=tmp_path, journal=tmp_path / "journal.db"))
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await serve_http(server, door, listening, until=stop.wait)

        nursery.start_soon(serve)
        try:
            with trio.fail_after(60):
                yield f"http://127.0.0.1:{port}/mcp"
        finally:
            stop.set()


def caller(token: str) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    return httpx2.AsyncClient(headers=headers)


# The SDK's own client leaves its event streams to the garbage collector (mcp 2.3).
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_with_the_token_sees_the_tools(mode: Any, tmp_path: Path) -> None:
    async with (
        served(tmp_path) as url,
        caller(TOKEN) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        assert "stratum_audit" in {tool.name for tool in (await client.list_tools()).tools}


async def test_a_session_is_only_there_for_who_opened_it(tmp_path: Path) -> None:
    async with served(tmp_path) as url, caller(TOKEN) as opener, caller(OTHER) as other:
        opened = await opener.post(url, json=INITIALIZE)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}

        assert (await other.post(url, json=PING, headers=session)).status_code == 404
        assert (await other.delete(url, headers=session)).status_code == 404
        assert (await opener.post(url, json=PING, headers=session)).status_code == 200


async def test_without_the_token_nothing_is_answered(tmp_path: Path) -> None:
    async with served(tmp_path) as url, caller("x" * 40) as stranger:
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            assert (await stranger.request(method, url, json=INITIALIZE)).status_code == 401


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as url, caller(TOKEN) as http:
        assert (await http.post(url, content=b" " * 5_000_000)).status_code == 413


def test_the_token_of_a_user_is_made_once_and_is_private(tmp_path: Path) -> None:
    token, path = own_token(tmp_path / "state")

    assert own_token(tmp_path / "state") == (token, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_token_that_could_be_guessed_is_refused() -> None:
    assert read_tokens(f"# for the inspector\n{TOKEN}\n\n  {OTHER}\n") == (TOKEN, OTHER)
    for text in ("", "# none\n", "secret\n"):
        with pytest.raises(ValueError, match="token"):
            read_tokens(text)
