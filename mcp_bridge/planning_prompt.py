"""The prompt by which a user asks for a task to be planned before it is done."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from pydantic import Field

from stratum.mcp_bridge.bridge import Bridge

_PROMPT = """\
{task}

Do this with Stratum:
1. Look at what you need to know to plan, without changing anything.
2. Call stratum_plan with typed steps: what each one returns (a contract), what it depends on, and what must hold of its
   result. Where something can be checked by an expression or by a program, say it so; plain English is for what cannot.
   Give the whole plan a budget.
3. Show me the plan as it was printed, and call stratum_execute. I am asked to approve it.
4. Do the steps that you are handed, those that come together in parallel, and report each with stratum_step_done. If a
   report is not accepted, mend what it names and nothing else.
5. When it has ended, show me stratum_audit.
"""


def add_prompt(server: MCPServer[Bridge]) -> None:
    """Offer it."""
    server.prompt(title="Plan a task")(plan_a_task)


def plan_a_task(task: Annotated[str, Field(description="What is to be done.")]) -> str:
    """Have a task planned, approved, executed and audited."""
    return _PROMPT.format(task=task)
