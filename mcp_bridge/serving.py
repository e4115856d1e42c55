"""A server from its start to the signal that ends it."""

from __future__ import annotations

import socket

import trio

from stratum.mcp_bridge.bridge import Project
from stratum.mcp_bridge.door import Door, told_to_stop
from stratum.mcp_bridge.handshake import Opening
from stratum.mcp_bridge.http import serve_http
from stratum.mcp_bridge.server import build_server
from stratum.mcp_bridge.stdio import serve_stdio
from stratum.mcp_bridge.wire import Wire


def run_on_stdio(project: Project, wire: Wire, opening: Opening) -> None:
    """Serve the client at `wire` until it leaves, or we are told to stop."""
    trio.run(_on_stdio, project, wire, opening)


def run_on_http(project: Project, door: Door, listening: socket.socket) -> None:
    """Serve whoever comes to the door, until we are told to stop."""
    trio.run(_on_http, project, door, listening)


async def _on_stdio(project: Project, wire: Wire, opening: Opening) -> None:
    closing = trio.Event()
    async with trio.open_nursery() as nursery:

        async def stop_when_told() -> None:
            await _told_to_stop(closing)
            nursery.cancel_scope.cancel(reason="a signal")

        nursery.start_soon(stop_when_told)
        await serve_stdio(build_server(project, closing=closing), wire, opening, closing=closing)
        nursery.cancel_scope.cancel(reason="the client has left")


async def _on_http(project: Project, door: Door, listening: socket.socket) -> None:
    closing = trio.Event()
    server = build_server(project, closing=closing)
    await serve_http(server, door, listening, until=lambda: _told_to_stop(closing))


async def _told_to_stop(closing: trio.Event) -> None:
    await told_to_stop()
    closing.set()
