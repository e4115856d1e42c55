"""The MCP server: the tools and resources around one bridge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

from stratum.mcp_bridge.audit_tool import stratum_audit
from stratum.mcp_bridge.bridge import Bridge, Project, open_bridge
from stratum.mcp_bridge.identity import INSTRUCTIONS, NAME, TITLE, server_version
from stratum.mcp_bridge.resources import add_resources
from stratum.mcp_bridge.tool import told

_READ = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


def build_server(project: Project, *, closing: trio.Event | None = None) -> MCPServer[Bridge]:
    """A server for one project; what it runs begins and ends with its lifespan. `closing` is set by whoever stops it."""
    told_to_stop = trio.Event() if closing is None else closing
    server: MCPServer[Bridge] = MCPServer(
        NAME,
        title=TITLE,
        version=server_version(),
        instructions=INSTRUCTIONS,
        lifespan=lambda _: open_bridge(project, closing=told_to_stop),
        log_level="WARNING",
        subscriptions=False,
    )
    add = partial(_add_tool, server)
    add(stratum_audit, "Audit a run", _READ)
    add_resources(server)
    return server


def _add_tool(
    server: MCPServer[Bridge], tool: Callable[..., Awaitable[Any]], title: str, annotations: ToolAnnotations
) -> None:
    server.add_tool(told(tool), title=title, annotations=annotations, structured_output=True)
