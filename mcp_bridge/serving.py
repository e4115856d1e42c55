"""A server from its start to the signal that ends it."""

from __future__ import annotations

import gc
import socket
from typing import Final

import trio

from stratum.mcp_bridge.bridge import Project
from stratum.mcp_bridge.door import Door, told_to_stop
from stratum.mcp_bridge.handshake import Opening
from stratum.mcp_bridge.http import serve_http
from stratum.mcp_bridge.server import build_server
from stratum.mcp_bridge.stdio import serve_stdio
from stratum.mcp_bridge.wire import Wire

CLIENT_LEFT: Final = "the client has left"


def run_on_stdio(project: Project, wire: Wire, opening: Opening) -> str:
    """Serve the client at `wire` until it leaves, or we are told to stop: which it was."""
    return trio.run(_on_stdio, project, wire, opening)


def run_on_http(project: Project, door: Door, listening: socket.socket) -> str:
    """Serve whoever comes to the door, until we are told to stop: by what."""
    return trio.run(_on_http, project, door, listening)


async def _on_stdio(project: Project, wire: Wire, opening: Opening) -> str:
    closing = trio.Event()
    ended = CLIENT_LEFT
    async with trio.open_nursery() as nursery:

        async def stop_when_told() -> None:
            nonlocal ended
            ended = await _told_to_stop(closing)
            nursery.cancel_scope.cancel(reason="a signal")

        nursery.start_soon(stop_when_told)
        server = build_server(project, closing=closing)
        gc.freeze()  # what was imported stays: no collection need look through it, for a twentieth of a second each time
        await serve_stdio(server, wire, opening, closing=closing)
        nursery.cancel_scope.cancel(reason=CLIENT_LEFT)
    return ended


async def _on_http(project: Project, door: Door, listening: socket.socket) -> str:
    closing = trio.Event()
    ended = ""

    async def until() -> None:
        nonlocal ended
        ended = await _told_to_stop(closing)

    server = build_server(project, closing=closing)
    gc.freeze()  # as above
    await serve_http(server, door, listening, until=until)
    return ended


async def _told_to_stop(closing: trio.Event) -> str:
    name = await told_to_stop()
    closing.set()
    return f"told to stop by {name}"
