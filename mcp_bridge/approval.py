"""A person's consent to a plan: by the form of their client, bound to the digest of what the form shows."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import InputRequiredResult

from stratum.actors.page_address import page_of
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.render import given_inputs, programs, render_details, render_plan
from stratum.contracts.plans.status import PlanStatus
from stratum.mcp_bridge.asking import ask
from stratum.mcp_bridge.caller import person
from stratum.mcp_bridge.run_view import next_call
from stratum.mcp_bridge.tool import Call

if TYPE_CHECKING:
    from stratum.engine.plans.plans import Plans

MAX_LINES: Final = 44
"""Of a form's message, on a screen of 100 columns. Codex cuts off what does not fit on the screen, and nobody can
consent to what they do not see."""
_COLUMNS: Final = 100
CHOICES: Final = ("reject", "approve")
"""The first is selected when the form appears, perhaps under a key that was meant for something else."""


async def obtain(ctx: Call, plans: Plans, run: str) -> InputRequiredResult | None:
    """Return once the plan is approved; what the client is to be answered first, if anything.

    Raises:
        ToolError: it was not approved, and how it can be; or it was discarded.
        UnknownRun: there is no such plan.
    """
    status = await _undiscarded(plans, run)
    if status.state != "draft":
        return None
    if await plans.shown_digest(run) != status.digest:
        raise ToolError("The plan has just been changed: look at it with stratum_status, then call again.")
    message = consent_message(status, await plans.compiled(run), await plans.inputs(run))
    page = page_of(plans.runtime.journal.path, run=run)
    by_hand = f"have the user run `stratum approve {run}` in a terminal, or approve it on {page}, then call again"
    if sum(1 + len(line) // _COLUMNS for line in message.splitlines()) > MAX_LINES:
        raise ToolError(f"The plan is too long to be approved in a form: {by_hand}.")
    asked = await ask(ctx, message, about=f"approve {run} {status.digest}", choices=CHOICES)
    if isinstance(asked, InputRequiredResult):
        return asked
    if asked is None:
        raise ToolError(f"The plan is not approved, and this client cannot ask the user: {by_hand}.")
    if asked.choice != "approve":
        raise ToolError(
            "The plan is not approved: the user declined, or this client answered in their place. Ask them what to change "
            f'and propose that with stratum_plan(revises="{run}"); or {by_hand}.'
        )
    await _undiscarded(plans, run)  # a form may be read for hours
    plans.approvals.approve(status.digest, by=person(ctx), how="elicitation")
    return None


def consent_message(status: PlanStatus, compiled: CompiledPlan, inputs: Mapping[str, Any]) -> str:
    """All that is approved: first the programs that are run, then what the plan is given and how it reads, then all of it."""
    found = [f"  {shlex.join(argv)}" for argv in programs(compiled)]
    runs = ["It runs:", *found, ""] if found else []
    full = [line for line in render_details(compiled).splitlines()[1:] if line]
    lines = [
        "Approve this plan?",
        *runs,
        *given_inputs(inputs),
        render_plan(compiled),
        f"In full, digest {status.digest[:12]}:",
        *full,
    ]
    return "\n".join(lines)


async def _undiscarded(plans: Plans, run: str) -> PlanStatus:
    status = await plans.status(run)
    if status.state == "discarded":
        raise ToolError(f"Plan {run} was {status.error}. {next_call(status)}")
    return status
