"""stratum_gate: putting a plan's question to the person behind the client."""

from __future__ import annotations

from typing import Annotated, Final

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult

from stratum.actors.page_address import page_of
from stratum.contracts.plans.errors import StepNotReady
from stratum.contracts.plans.status import PlanStatus, Question
from stratum.engine.plans.questions import open_questions
from stratum.mcp_bridge.asking import ask
from stratum.mcp_bridge.caller import person
from stratum.mcp_bridge.run_tools import Wait, running, something_to_do
from stratum.mcp_bridge.run_view import RunInBrief, run_view, summary
from stratum.mcp_bridge.tool import Call, PlanId, StepId, answer, bridge_of, meta_of

_LATER: Final = "not now"
"""Selected when the form appears, perhaps under a key that was meant for something else: it decides nothing."""


async def stratum_gate(
    ctx: Call, plan: PlanId, step: StepId, wait_s: Wait = 20
) -> Annotated[CallToolResult, RunInBrief] | InputRequiredResult:
    """Ask the user the question that a gate of the plan waits for. The answer is theirs; you cannot give it."""
    bridge = bridge_of(ctx)
    run = await running(await bridge.plans(), plan)
    question = _question(run.status(), step)
    seen = next((f"{each.seen}\n\n" for each in open_questions(run.log.past) if each.step == step and each.seen), "")
    asked = await ask(
        ctx,
        f"{question.question}\n\n{seen}(step {step} of plan {plan}: {run.compiled.plan.goal})",
        about=f"gate {plan} {step} {question.round}",
        choices=(_LATER, *question.options),
        comment="If it is to be revised: what to change." if "revise" in question.options else "Optional.",
    )
    if isinstance(asked, InputRequiredResult):
        return asked
    if asked is None:
        page = page_of(run.log.runtime.journal.path, run=plan)
        by_hand = f"have them run `stratum gate {plan} {step} DECISION`, or answer on {page}"
        raise ToolError(f"This client cannot ask the user: {by_hand}.")
    if asked.choice in ("", _LATER):
        raise ToolError("The user did not answer; the gate still waits. Ask them to, or wait with stratum_status.")
    asking = run.version
    run.answer(step, asked.choice, by=person(ctx), comment=asked.comment)  # type: ignore[arg-type]  # one of its options
    await run.until_changed(asking)  # what was asked is asked no longer
    await something_to_do(run, wait_s)
    status, shown = bridge.told(meta_of(ctx), run.status(), again=True)
    view = run_view(status, assignments=shown)
    return answer(f"{summary(status)}\n{view.next}", view)


def _question(status: PlanStatus, step: str) -> Question:
    for question in status.questions:
        if question.step == step:
            return question
    raise StepNotReady(run=status.run, step=step, problem="no gate of this name waits for an answer")
