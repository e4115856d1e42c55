"""What an agent is shown of its report: accepted or not, and why, and nothing that it knew before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from stratum.contracts.plans.status import Assignment, PlanStatus, Verdict
from stratum.mcp_bridge.run_view import IN_BRIEF, AssignmentView, RunView, assignment_view, run_view


class ReportView(BaseModel):
    """What became of a report, and what you do next."""

    plan: str = Field(description="The plan's id.")
    step: str = Field(description="The step that was reported.")
    accepted: bool | None = Field(description="Whether the result was accepted; null: it is still being verified.")
    attested: list[str] = Field(description="Conditions that only you vouch for: they are not shown as verified.")
    again: Annotated[AssignmentView | None, IN_BRIEF] = Field(
        description="If it was not accepted: the assignment to do again, with what to mend."
    )
    next: str = Field(description="What to do now.")
    run: Annotated[RunView | None, IN_BRIEF] = Field(
        description="As stratum_execute answers, with your next assignments; null while you mend this one."
    )


def report_view(
    status: PlanStatus, step: str, verdict: Verdict | None, *, assignments: Sequence[Assignment]
) -> ReportView:
    """A report's verdict; `None` if it is not there yet."""
    if verdict is None:
        asked = any(question.step == step for question in status.questions)
        return ReportView(
            plan=status.run,
            step=step,
            accepted=None,
            attested=[],
            again=None,
            next=f'A person must say whether it is right: stratum_gate(plan="{status.run}", step="{step}") asks the user.'
            if asked
            else "It is being verified. Send the same report again to wait for the verdict.",
            run=None,
        )
    again = verdict.again
    run = None if again is not None else run_view(status, assignments=assignments)
    if again is not None:
        next = f"Mend exactly this and report step {again.step} again, with ticket {again.ticket}."
    else:
        assert run is not None
        next = f"{_became(step, verdict)}{run.next}"
    return ReportView(
        plan=status.run,
        step=step,
        accepted=verdict.accepted,
        attested=list(verdict.attested),
        again=None if again is None else assignment_view(again),
        next=next,
        run=run,
    )


def _became(step: str, verdict: Verdict) -> str:
    """What the next steps alone do not tell."""
    if verdict.failed:
        return f"Step {step} has failed for good. "
    return (
        "" if verdict.accepted else f"Step {step} was not accepted: what is wrong is to be mended in an earlier step. "
    )
