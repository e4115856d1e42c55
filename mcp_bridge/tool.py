"""What every tool has: the bridge, refusals that the agent can act on, and a short text beside the structured answer."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, ParamSpec, TypeVar, cast

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from stratum.contracts.errors import BudgetExceeded, JournalUnavailable, RunLocked, StratumError, UnknownRun
from stratum.contracts.problem import legible, visible
from stratum.mcp_bridge.bridge import Bridge
from stratum.mcp_bridge.refusal import MAX_TOLD, unknown_arguments

P = ParamSpec("P")
R = TypeVar("R")

MAX_ID: Final = 64

Call = Context[Bridge, Any]
StepId = Annotated[str, Field(max_length=200, description="The step's id.")]
PlanId = Annotated[str, Field(max_length=MAX_ID, description="The plan's id, from stratum_plan.")]


def bridge_of(ctx: Call) -> Bridge:
    """The server's bridge."""
    return ctx.request_context.lifespan_context


def meta_of(ctx: Call) -> object:
    """What the client sends beside the arguments: Codex, where in which thread the call stands."""
    return ctx.request_context.meta


def arguments(ctx: Call) -> dict[str, Any]:
    """The arguments as they were sent: the SDK reads a text that looks like JSON as JSON."""
    params = ctx.request_context.params or {}
    return cast(dict[str, Any], params.get("arguments") or {})


def told(call: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """A tool whose errors reach the agent, and that refuses arguments which it does not have.

    The SDK hides the text of all but a `ToolError`, and drops what it does not know.
    """
    known = {name: None for name in inspect.signature(call).parameters if name != "ctx"}

    @functools.wraps(call)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        given = arguments(cast(Call, kwargs["ctx"]))
        if not given.keys() <= known.keys():
            raise ToolError(legible("\n".join(unknown_arguments(given, known)), most=MAX_TOLD))
        try:
            return await call(*args, **kwargs)
        except JournalUnavailable as error:
            # The bridge opens it anew for whoever asks next.
            text = f"{error}. Nothing more was recorded: once that is done, make this call again."
            raise ToolError(legible(text, most=MAX_TOLD)) from error
        except BudgetExceeded as error:
            # What the error says to do is for whoever writes the budget: an agent cannot raise it.
            status = f"stratum_status(plan={visible(str(given.get('plan'))[:MAX_ID])})"
            text = f"{error}.\nOnly the user can raise it. Stop here: {status} tells what is done, what is left, and how they do."
            raise ToolError(legible(text, most=MAX_TOLD)) from error
        except UnknownRun as error:
            raise ToolError(legible(f"{error}; stratum_status() has those of the plans", most=MAX_TOLD)) from error
        except RunLocked as error:
            text = (
                f"plan {error.run} is at work in another process, such as the server of another session. Go on with it there, or "
                f"have the user run `stratum cancel {error.run}`, then make this call again."
            )
            raise ToolError(legible(text, most=MAX_TOLD)) from error
        except StratumError as error:
            raise ToolError(legible(str(error), most=MAX_TOLD)) from error

    return wrapped


def answer(text: str, view: BaseModel) -> CallToolResult:
    """`view`, and `text` for clients and people that read no structured content."""
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=view.model_dump(mode="json", by_alias=True)
    )
