"""A person's consent to a plan: by the form of their client, bound to the digest of what the form shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import InputRequiredResult

from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.plan_render import render_details, render_plan
from stratum.contracts.plan_status import PlanStatus
from stratum.mcp_bridge.asking import ask
from stratum.mcp_bridge.caller import person
from stratum.mcp_bridge.tool import Call

if TYPE_CHECKING:
    from stratum.engine.plans.plans import Plans

MAX_SHOWN: Final = 8_000
"""Characters of a form's message: who cannot see all of a plan cannot consent to it there."""


async def obtain(ctx: Call, plans: Plans, run: str) -> InputRequiredResult | None:
    """Return once the plan is approved; what the client is to be answered first, if anything.

    Raises:
        ToolError: it was not approved, and how it can be.
        UnknownRun: there is no such plan.
    """
    status = await plans.status(run)
    if status.state != "draft":
        return None
    message = consent_message(status, await plans.compiled(run))
    by_hand = f"have the user run `stratum approve {run}` in a terminal, then call again"
    if len(message) > MAX_SHOWN:
        raise ToolError(f"The plan is too long to be approved in a form: {by_hand}.")
    asked = await ask(ctx, message, about=f"approve {run} {status.digest}", choices=("approve", "reject"))
    if isinstance(asked, InputRequiredResult):
        return asked
    if asked is None:
        raise ToolError(f"The plan is not approved, and this client cannot ask the user: {by_hand}.")
    if asked.choice != "approve":
        raise ToolError(
            "The plan is not approved: the user declined, or this client answered in their place. Ask them what to change "
            f'and propose that with stratum_plan(revises="{run}"); or {by_hand}.'
        )
    plans.approvals.approve(status.digest, by=person(ctx), how="elicitation")
    return None


def consent_message(status: PlanStatus, compiled: CompiledPlan) -> str:
    """All that is approved: the plan as it is read first, and everything in it."""
    return f"Approve this plan?\n\n{render_plan(compiled)}\n\nIn full, digest {status.digest[:12]}:\n{_full(compiled)}"


def _full(compiled: CompiledPlan) -> str:
    return render_details(compiled).partition("\n")[2]
