"""Our HTTP server with what the conformance suite looks for by name: `python conformance_server.py FOLDER` prints its URL.

The suite sends no token, so one is added on the way in; all else of a request reaches our own checks as it was sent.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import trio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult, TextContent
from starlette.types import Receive, Scope, Send

from stratum.mcp_bridge import http
from stratum.mcp_bridge.asking import ask
from stratum.mcp_bridge.bridge import Bridge, Project
from stratum.mcp_bridge.door import Door, listen
from stratum.mcp_bridge.gatekeeper import Gatekeeper
from stratum.mcp_bridge.http import serve_http
from stratum.mcp_bridge.server import build_server

TOKEN = secrets.token_urlsafe(32)


class WithToken(Gatekeeper):
    """The gatekeeper, for callers who have been given the token."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {TOKEN}".encode())]}
        await super().__call__(scope, receive, send)


def add_fixtures(server: MCPServer[Bridge]) -> None:
    """Tools, resources and prompts that the suite calls by name."""

    @server.tool()
    async def test_simple_text() -> str:
        """Answers with a text."""
        return "This is a simple text response for testing."

    @server.tool()
    async def test_error_handling() -> str:
        """Fails."""
        raise ToolError("This tool intentionally returns an error for testing")

    @server.tool()
    async def test_elicitation(message: str, ctx: Context[Any, Any]) -> CallToolResult:
        """Asks as an approval does."""
        return await _asked(ctx, message)

    @server.tool()
    async def test_input_required_result_tampered_state(ctx: Context[Any, Any]) -> CallToolResult | InputRequiredResult:
        """Asks as an approval does, in the stateless protocol."""
        return await _asked(ctx, "Please confirm")

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """A text."""
        return "This is the content of the static text resource."

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """A text that depends on its URI."""
        return f'{{"id": "{id}", "templateTest": true, "data": "Data for ID: {id}"}}'

    @server.prompt()
    def test_simple_prompt() -> str:
        """A prompt."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt that takes arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def _asked(ctx: Context[Any, Any], message: str) -> Any:
    asked = await ask(ctx, message, about="conformance", choices=("approve", "reject"))
    if isinstance(asked, InputRequiredResult):
        return asked
    action = "nobody" if asked is None else asked.action
    return CallToolResult(content=[TextContent(type="text", text=f"User response: action={action}")])


async def main(folder: Path) -> None:
    http.Gatekeeper = WithToken  # type: ignore[misc]  # the one thing that the suite cannot do
    door = Door(port=0, tokens=(TOKEN,))
    listening = listen(door)
    server = build_server(Project(workspace=folder, journal=folder / "journal.db"))
    add_fixtures(server)
    print(f"http://localhost:{listening.getsockname()[1]}{http.PATH}", flush=True)
    await serve_http(server, door, listening, until=trio.sleep_forever)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
