"""What a client may read without calling a tool: plans, runs and audits, by `stratum://` URIs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from stratum.contracts.audit import render_audit
from stratum.contracts.doubts import render_doubts
from stratum.contracts.errors import JournalUnavailable, StratumError, UnknownRun
from stratum.contracts.plans.text import to_json
from stratum.contracts.problem import legible
from stratum.mcp_bridge.audit_tool import audited
from stratum.mcp_bridge.bridge import Bridge
from stratum.mcp_bridge.refusal import MAX_TOLD
from stratum.mcp_bridge.run_view import run_view
from stratum.mcp_bridge.status_tool import status_as_recorded
from stratum.mcp_bridge.tool import Call, bridge_of


def add_resources(server: MCPServer[Bridge]) -> None:
    """Offer them."""
    as_json = "application/json"
    offer = server.resource
    offer("stratum://plans/{run}", title="Plan", description="A plan, as it can be edited.", mime_type=as_json)(plan)
    offer("stratum://runs/{run}", title="Run", description="Where a plan's run stands.", mime_type=as_json)(state)
    offer("stratum://runs/{run}/audit", title="Audit", description="What each step took.")(audit)


async def plan(run: str, ctx: Call) -> str:
    """The plan as JSON."""
    bridge = bridge_of(ctx)
    with _told():
        try:
            return to_json(await (await bridge.plans()).plan(run))
        except JournalUnavailable as error:
            return to_json((await bridge.recorded(run, error)).plan)


async def state(run: str, ctx: Call) -> str:
    """The run's status as JSON, every step included."""
    bridge = bridge_of(ctx)
    with _told():
        try:
            status = await (await bridge.plans()).status(run)
        except JournalUnavailable as error:
            status = await status_as_recorded(bridge, run, error)
        return run_view(status, every_step=True).model_dump_json()


async def audit(run: str, ctx: Call) -> str:
    """The audit, as text."""
    with _told():
        lines, reruns, doubts = await audited(bridge_of(ctx), run)
        return "\n".join([render_audit(lines, extra_retries=reruns), *render_doubts(run, doubts)])


@contextmanager
def _told() -> Generator[None]:
    """The SDK hides the text of all but its own errors."""
    try:
        yield
    except UnknownRun as error:
        raise ResourceNotFoundError(str(error)) from error
    except StratumError as error:
        raise ResourceError(legible(str(error), most=MAX_TOLD)) from error
