"""What an agent is shown of a plan that was proposed: as it is approved, step by step, and what comes next."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, Field

from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.render import budget_line, render_plan
from stratum.contracts.plans.status import PlanState, PlanStatus
from stratum.mcp_bridge.run_view import next_call

MAX_STEPS: Final = 200
MAX_TEXT: Final = 16_000
"""Characters of the printed plan; the whole of it is in the resource."""


class ConditionView(BaseModel):
    """What a step's result must satisfy."""

    text: str = Field(description="The condition.")
    checked_by: str = Field(description="expression, command, or judge.")


class PlannedStepView(BaseModel):
    """One step of the plan."""

    id: str = Field(description="The step's id.")
    fn: str = Field(description="What it calls, or what it is called.")
    kind: str = Field(description="Who does it: infer, compute, agent (you), command, gate (a person) or plan.")
    output: str = Field(description="The type of its result; empty: any JSON value.")
    depends_on: list[str] = Field(description="The steps that are done before it.")
    ensure: list[ConditionView] = Field(description="What its result must satisfy.")


class PlanView(BaseModel):
    """A plan that is valid and waits for approval."""

    plan: str = Field(description="The plan's id, for every other call.")
    digest: str = Field(description="What is approved: a changed plan or changed inputs need another approval.")
    state: PlanState = Field(description="draft until the user, or their policy, has approved it.")
    text: str = Field(description="The plan as it is shown to the user.")
    estimate: str = Field(description="What it will probably take, and its limits.")
    steps: list[PlannedStepView] = Field(description="The whole graph.")
    first: list[str] = Field(description="The steps that are ready at once.")
    policy: str = Field(description="Why the user's policy approves it, or leaves it to them; empty: they have none.")
    next: str = Field(description="What to do now.")


def plan_view(status: PlanStatus, compiled: CompiledPlan) -> PlanView:
    """The plan as it was accepted."""
    text = render_plan(compiled)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}\n... all of it: stratum://plans/{status.run}"
    plan = compiled.plan
    return PlanView(
        plan=status.run,
        digest=status.digest,
        state=status.state,
        text=text,
        estimate=budget_line(plan.estimate, plan.budget),
        steps=[_step(compiled, number) for number in range(min(MAX_STEPS, len(plan.steps)))],
        first=[step.id for step, before in zip(plan.steps, compiled.dependencies, strict=True) if not before][
            :MAX_STEPS
        ],
        policy=status.policy,
        next=next_call(status),
    )


def _step(compiled: CompiledPlan, number: int) -> PlannedStepView:
    step = compiled.plan.steps[number]
    codec = compiled.outputs[number]
    return PlannedStepView(
        id=step.id,
        fn=step.fn,
        kind=compiled.kinds[number],
        output=step.output if isinstance(step.output, str) and step.output else "" if codec is None else codec.name,
        depends_on=[compiled.plan.steps[other].id for other in compiled.dependencies[number]],
        ensure=[ConditionView(text=each.text, checked_by=each.form) for each in step.conditions],
    )
