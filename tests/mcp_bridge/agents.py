"""An agent and its user, as the tests of the tools need them: a real client, a person who answers forms."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from mcp import Client
from mcp.client import ClientRequestContext
from mcp.client.session import ElicitationFnT
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult, TextContent

from stratum import Price
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.case import Judge
from stratum.engine.providers.scripted import Scripted, scripted
from stratum.engine.step import Step
from stratum.mcp_bridge.bridge import Project
from stratum.mcp_bridge.server import build_server

Mode = Literal["auto", "legacy"]
Action = Literal["accept", "decline", "cancel"]

FILES = {
    "type": "object",
    "properties": {"files": {"type": "array", "items": {"type": "string"}}},
    "required": ["files"],
}
STEPS: list[dict[str, Any]] = [
    {"id": "1", "fn": "read_code", "intent": "Read it", "output": "Files"},
    {
        "id": "2",
        "fn": "change_code",
        "inputs": {"files": "$.steps.1.output.files"},
        "output": "Files",
        "ensure": "len(result.files) > 0",
        "retries": 1,
    },
]
PROPOSAL: dict[str, Any] = {"task": "Change the code", "steps": STEPS, "contracts": {"Files": FILES}}


class User:
    """Answers every form in the same way, and remembers what it was shown."""

    def __init__(self, action: Action = "accept", **content: Any) -> None:
        self.action: Action = action
        self.content = content
        self.asked: list[ElicitRequestFormParams] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params)
        return ElicitResult(action=self.action, content=self.content if self.action == "accept" else None)


def approving() -> User:
    return User("accept", decision="approve")


class Refused(Exception):
    """What the agent is told instead of an answer."""


class Agent:
    """Calls tools, and reads what a model is shown: the structured content."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> Any:
        return shown(await self.client.call_tool(tool, arguments))

    async def plan(self, **changes: Any) -> str:
        """The id of a plan that was proposed."""
        return str((await self.call("stratum_plan", **PROPOSAL | changes))["plan"])

    async def done(self, plan: str, assignment: Mapping[str, Any], result: Any, **more: Any) -> Any:
        step, ticket = assignment["step"], assignment["ticket"]
        return await self.call("stratum_step_done", plan=plan, step=step, ticket=ticket, result=result, **more)


def shown(result: CallToolResult) -> Any:
    text = result.content[0]
    assert isinstance(text, TextContent)
    if result.is_error:
        raise Refused(text.text)
    assert result.structured_content is not None
    return result.structured_content


async def started(codex: Agent) -> tuple[str, Any]:
    """A plan at work, and the assignment of its first step."""
    plan = await codex.plan()
    run = await codex.call("stratum_execute", plan=plan)
    return plan, run["assignments"][0]


def project(
    folder: Path, *, steps: Sequence[Step[Any, Any]] = (), provider: Scripted | None = None, judge: Judge | None = None
) -> Project:
    return Project(
        workspace=folder,
        journal=folder / ".stratum" / "stratum.db",
        provider=provider or scripted(price=Price.per_million(input=1, output=1)),
        steps=lambda: steps,
        approvals=Approvals(folder, folder=folder.parent / f"{folder.name}-state"),
        judge=judge,
    )


@asynccontextmanager
async def agent(served: Project, user: ElicitationFnT | None = None, *, mode: Mode = "auto") -> AsyncGenerator[Agent]:
    """An agent with a server of its own for the project."""
    async with Client(build_server(served), mode=mode, elicitation_callback=user) as client:
        yield Agent(client)
