"""What a client may read without calling a tool: `stratum://runs/{id}/audit`."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from stratum.contracts.audit import render_audit
from stratum.contracts.errors import UnknownRun
from stratum.mcp_bridge.audit_tool import audit_lines
from stratum.mcp_bridge.bridge import Bridge
from stratum.mcp_bridge.tool import Call, bridge_of


def add_resources(server: MCPServer[Bridge]) -> None:
    """Offer them."""
    server.resource("stratum://runs/{run}/audit", title="Audit", description="What each step took.")(audit)


async def audit(run: str, ctx: Call) -> str:
    """The audit, as text."""
    runtime = await bridge_of(ctx).runtime()
    try:
        return render_audit(audit_lines(await runtime.journal.read(run)))
    except UnknownRun as error:
        raise ResourceNotFoundError(str(error)) from error
