"""The MCP server: the tools and resources around one bridge."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import trio
from mcp import MCPError
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp_types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult, ToolAnnotations
from pydantic import ValidationError

from stratum.mcp_bridge.audit_tool import stratum_audit
from stratum.mcp_bridge.bridge import Bridge, Project, open_bridge
from stratum.mcp_bridge.drift_tool import stratum_drift
from stratum.mcp_bridge.gate_tool import stratum_gate
from stratum.mcp_bridge.identity import INSTRUCTIONS, NAME, TITLE, server_version
from stratum.mcp_bridge.plan_tools import stratum_approve, stratum_plan
from stratum.mcp_bridge.planning_prompt import add_prompt
from stratum.mcp_bridge.proposal import FIELDS, SHARED
from stratum.mcp_bridge.refusal import fault, no_such_tool, wrong_arguments, wrong_prompt
from stratum.mcp_bridge.resources import add_resources
from stratum.mcp_bridge.rollback_tool import stratum_rollback
from stratum.mcp_bridge.run_tools import stratum_execute, stratum_step_done
from stratum.mcp_bridge.status_tool import stratum_status
from stratum.mcp_bridge.tool import told
from stratum.mcp_bridge.tool_schema import shortened

_NONE: Final[Mapping[str, Any]] = {}
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_RECORDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
"""Writes to the journal alone."""
_RECORDS_ONCE = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_RESTORES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
_RUNS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True)
"""Runs what the plan says: programs, and models over the network."""


def build_server(project: Project, *, closing: trio.Event | None = None) -> MCPServer[Bridge]:
    """A server for one project; what it runs begins and ends with its lifespan. `closing` is set by whoever stops it."""
    told_to_stop = trio.Event() if closing is None else closing
    server = _Server(
        NAME,
        title=TITLE,
        version=server_version(),
        instructions=INSTRUCTIONS,
        lifespan=lambda _: open_bridge(project, closing=told_to_stop),
        log_level="WARNING",
        subscriptions=False,
    )
    add = partial(_add_tool, server)
    add(stratum_plan, "Propose a plan", _RECORDS, fields=FIELDS, shared=SHARED)
    add(stratum_approve, "Ask for approval", _RECORDS_ONCE)
    add(stratum_execute, "Start a plan, or go on with it", _RUNS)
    # What a report sets going was started, and approved, with the plan.
    add(stratum_step_done, "Report a step", _RECORDS_ONCE)
    add(stratum_status, "Where a plan stands", _READS)
    add(stratum_gate, "Ask a gate's question", _RECORDS)
    add(stratum_rollback, "Restore the files", _RESTORES)
    add(stratum_audit, "Audit a run", _READS)
    add(stratum_drift, "Find model calls past Stratum", _READS)
    add_resources(server)
    add_prompt(server)
    return server


class _Server(MCPServer[Bridge]):
    """Its refusals can be acted on; the SDK tells wrong arguments in pydantic's words, and of an exception nothing."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Bridge, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError as error:
            # Still one of these: the SDK logs their traceback.
            raise UnexpectedToolError(f"{error}: {fault(error.__cause__ or error, arguments)}") from error.__cause__
        except ToolError as error:
            tool = self._tool_manager.get_tool(name)
            if tool is None:
                known = (each.name for each in self._tool_manager.list_tools())
                raise ToolError(no_such_tool(name, known)) from None
            if isinstance(error.__cause__, ValidationError):
                told = wrong_arguments(error.__cause__, name, arguments, tool.parameters)
                raise ToolError(f"Error executing tool {name}: {told}") from error.__cause__
            raise

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Bridge, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        known = {each.name: each.arguments or () for each in self._prompt_manager.list_prompts()}
        if wrong := wrong_prompt(name, arguments or {}, known):
            # The SDK would log a traceback, and answer with an error of the server's own.
            raise MCPError(INVALID_PARAMS, wrong)
        return await super().get_prompt(name, arguments, context)

    def publish(self, name: str, *, fields: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
        """Have a tool's schemas listed in short; arguments that are read elsewhere as `fields` say, with the definitions that these share."""
        tool = self._tool_manager.get_tool(name)
        assert tool is not None, "it was added"
        taken = {**tool.parameters, "properties": {**tool.parameters["properties"], **fields}}
        tool.parameters = shortened({**taken, "$defs": shared} if shared else taken)
        tool.fn_metadata.output_schema = shortened(tool.fn_metadata.output_schema or {})


def _add_tool(
    server: _Server,
    tool: Callable[..., Awaitable[Any]],
    title: str,
    annotations: ToolAnnotations,
    *,
    fields: Mapping[str, Any] = _NONE,
    shared: Mapping[str, Any] = _NONE,
) -> None:
    description = inspect.getdoc(tool)
    server.add_tool(told(tool), title=title, description=description, annotations=annotations, structured_output=True)
    server.publish(tool.__name__, fields=fields, shared=shared)
