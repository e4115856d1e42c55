"""Serving over streamable HTTP."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from stratum.mcp_bridge.door import Door, serve_app
from stratum.mcp_bridge.gatekeeper import Gatekeeper
from stratum.mcp_bridge.host_check import names

PATH: Final = "/mcp"
MAX_BODY_BYTES: Final = 4 * 2**20


async def serve_http(
    server: MCPServer[Any], door: Door, listening: socket.socket, *, until: Callable[[], Awaitable[object]]
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
    await serve_app(keeper, listening, until=until)
