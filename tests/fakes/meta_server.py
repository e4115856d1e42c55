"""An MCP server with one tool, which writes down the `_meta` of its calls: `python -m tests.fakes.meta_server FILE`."""

from __future__ import annotations

import json
import sys
from typing import Any

import trio
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations

server: MCPServer[Any] = MCPServer("stratum")


@server.tool(annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False))
async def note(ctx: Context[Any, Any]) -> str:
    """Note that it was called."""
    meta: Any = ctx.request_context.meta or {}
    async with await trio.open_file(sys.argv[1], "a") as file:
        await file.write(json.dumps(dict(meta), default=str) + "\n")
    return "noted"


if __name__ == "__main__":
    trio.run(server.run_stdio_async)
