"""What an agent is shown of a plan's run: where it stands, what to do, and which call comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from pydantic import BaseModel, Field, WithJsonSchema

from stratum.contracts.money import format_usd, usd
from stratum.contracts.plans.status import Assignment, PlanState, PlanStatus, Question, StepStatus

MAX_STEPS: Final = 120
"""Steps listed at most: Codex cuts an answer near 40,000 characters."""
IN_BRIEF: Final = WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "null"}]})
"""What is told in full with stratum_execute's answer; the description says so."""
MAX_ASSIGNED: Final = 16_000
"""Bytes of assignments in an answer, for the same reason; one is always there."""


class LeftView(BaseModel):
    """What is left of a budget; null: that axis has no limit."""

    usd: float | None = Field(default=None, description="US dollars.")
    tokens: int | None = Field(default=None, description="Tokens.")
    ms: int | None = Field(default=None, description="Milliseconds of running time.")


class AssignmentView(BaseModel):
    """A step for you to do now. Those handed out together do not depend on each other."""

    step: str = Field(description="The step's id.")
    ticket: str = Field(description="Names this hand-out; give it back in stratum_step_done.")
    attempt: int = Field(description="Which attempt this is, from 1.")
    attempts_left: int = Field(description="How many more there are after it.")
    fn: str = Field(description="What the step is called in the plan.")
    intent: str = Field(description="What is to be done.")
    inputs: dict[str, Any] = Field(description="Its inputs by name, resolved. Empty on a retry: you have them.")
    result_schema: dict[str, Any] = Field(description="JSON Schema of the result to report; empty: any JSON value.")
    ensure: list[str] = Field(description="What will be checked of the result.")
    left: LeftView | None = Field(
        description="What is left of the step's own budget; null: it has none but the plan's."
    )
    files: list[str] = Field(description="The only files you may change, as paths or patterns; empty: any.")
    violation: str = Field(description="On a retry, why the last report was not accepted: fix exactly this.")


class QuestionView(BaseModel):
    """A gate that waits for a person."""

    step: str = Field(description="The gate's step id, for stratum_gate.")
    question: str = Field(description="What the person is asked.")
    options: list[str] = Field(description="What they can answer.")
    round: int = Field(description="From 1; each revision begins another.")
    answer_by: str = Field(description="UTC, ISO 8601; empty: no deadline.")


class StepView(BaseModel):
    """Where one step stands."""

    id: str = Field(description="The step's id.")
    fn: str = Field(description="What it calls, or what it is called.")
    kind: str = Field(description="infer, compute, agent, command, gate or plan.")
    standing: str = Field(
        description="waiting, running, handed_out, asking, done, skipped, failed, cancelled or blocked."
    )
    attempts: int = Field(description="Attempts so far.")
    usd: float | None = Field(description="What it cost; null: not known.")
    retries: list[str] = Field(description="Why each rejected attempt was rejected.")
    error: str = Field(description="Why it failed; else empty.")
    flags: list[str] = Field(description="What nobody verified: conditions only attested, gates a policy approved.")


class RunView(BaseModel):
    """Where a plan's run stands, and what you do next."""

    plan: str = Field(description="The plan's id, for every other call.")
    goal: str = Field(description="What the plan is for.")
    state: PlanState = Field(description="Where the plan stands.")
    next: str = Field(description="What to do now.")
    assignments: list[AssignmentView] = Field(description="Steps for you to do now, in parallel where you can.")
    in_hand: list[str] = Field(description="Steps that you were handed before and have not reported.")
    edited: list[str] = Field(description="What the user changed in the plan since you proposed it.")
    questions: list[QuestionView] = Field(description="Gates that wait for a person: stratum_gate asks them.")
    progress: dict[str, int] = Field(description="How many steps stand where.")
    steps: list[StepView] = Field(description="The steps that failed; every step in stratum_status.")
    spent_usd: float = Field(description="Booked so far.")
    in_doubt_usd: float = Field(description="Held for calls whose cost is not known; counts as spent.")
    left: LeftView = Field(description="What is left of the budget.")
    output: Any = Field(description="What the plan returned, once it has succeeded.")
    error: str = Field(description="Why it ended, if it did not succeed.")
    version: int = Field(description="Grows with every change.")


class RunInBrief(RunView):
    """The same, of whose schema the answer to stratum_execute tells all: here it is only named."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["state", "next"],
            "properties": {
                "state": {"type": "string", "description": "Where the plan stands."},
                "next": {"type": "string", "description": "What to do now. All else is as stratum_execute answers."},
            },
        }


def run_view(
    status: PlanStatus,
    *,
    assignments: Sequence[Assignment] | None = None,
    edited: Sequence[str] = (),
    every_step: bool = False,
) -> RunView:
    """`status`, with the call that comes next; of its assignments, if they are given, only these in full."""
    shown = in_plan_order(status, status.assignments if assignments is None else assignments)
    listed = [step for step in status.steps if every_step or step.standing == "failed"]
    return RunView(
        plan=status.run,
        goal=status.goal,
        state=status.state,
        next=next_call(status),
        assignments=[assignment_view(each) for each in shown],
        in_hand=[each.step for each in status.assignments if each not in shown][:MAX_STEPS],
        questions=[_question(each) for each in status.questions],
        edited=list(edited),
        progress=dict(Counter(step.standing for step in status.steps)),
        steps=[_step(each) for each in listed[:MAX_STEPS]],
        spent_usd=usd(status.settled_picousd),
        in_doubt_usd=usd(status.in_doubt_picousd),
        left=_left(status.left),
        output=status.output,
        error=status.error,
        version=status.version,
    )


def in_plan_order(status: PlanStatus, assignments: Sequence[Assignment]) -> list[Assignment]:
    """As the plan lists their steps; those of a plan within it where that one stands."""
    if len(assignments) < 2:
        return list(assignments)
    places = {step.id: place for place, step in enumerate(status.steps)}
    return sorted(assignments, key=lambda each: places.get(each.step.partition("/")[0], 0))


def fitting(assignments: Sequence[Assignment]) -> Sequence[Assignment]:
    """The first of them, as many as an agent reads in one answer."""
    if len(assignments) < 2:
        return assignments
    size = 0
    for number, each in enumerate(assignments):
        size += len(msgspec.json.encode(each))
        if size > MAX_ASSIGNED and number:
            return assignments[:number]
    return assignments


def next_call(status: PlanStatus) -> str:
    """What the agent does next, in a sentence."""
    plan = status.run
    if status.assignments:
        ordered = in_plan_order(status, status.assignments)
        steps = " and ".join(f"step {each.step}" for each in ordered[:MAX_STEPS])
        parallel = ", in parallel where you can" if len(status.assignments) > 1 else ""
        return f'Do {steps}{parallel}, and report each: stratum_step_done(plan="{plan}", step=..., ticket=..., result=...).'
    if status.questions:
        asked = status.questions[0].step
        return f'A person must answer: stratum_gate(plan="{plan}", step="{asked}") asks the user.'
    elsewhere = [step.id for step in status.steps if step.standing == "handed_out"]
    if status.state == "running" and elsewhere:
        return (
            f"Another process has it, such as the server of another session, and step {elsewhere[0]} is with the agent there: "
            f'stratum_status(plan="{plan}", wait_s=20) waits for what comes next.'
        )
    return _NEXT[status.state].format(plan=plan)


_NEXT: dict[PlanState, str] = {
    "draft": 'Show the user the plan, then stratum_execute(plan="{plan}") asks for their approval and starts it.',
    "approved": 'Approved: stratum_execute(plan="{plan}") starts it.',
    "running": 'Steps are being run here: stratum_status(plan="{plan}", wait_s=20) waits for what comes next.',
    "paused": 'It waits for a person: stratum_status(plan="{plan}", wait_s=20) shows when they have answered.',
    "interrupted": 'Its process is gone: stratum_execute(plan="{plan}") goes on with it.',
    "succeeded": 'Done. Show the user stratum_audit(plan="{plan}").',
    "failed": 'Tell the user what failed. stratum_execute(plan="{plan}") goes on from there: completed steps are kept. Where a '
    "step's own budget is used up, the user can raise it first: `stratum raise {plan} --of STEP --usd AMOUNT` (or --tokens, --ms).",
    "exhausted": "The budget is used up. Tell the user what is done and what is left; if they raise it, with "
    '`stratum raise {plan} --usd AMOUNT` (or --tokens, --ms) in a terminal or on the page of `stratum ui`, stratum_execute(plan="{plan}") goes on.',
    "discarded": "It never begins. Ask the user what they want instead, and propose that with stratum_plan.",
    "cancelled": 'It was stopped. stratum_execute(plan="{plan}") goes on, if the user wants that.',
}


def summary(status: PlanStatus) -> str:
    """One line for a person: state, steps done, spend."""
    done = sum(step.standing in ("done", "skipped") for step in status.steps)
    return f"{status.run} {status.state}: {done} of {len(status.steps)} steps, {format_usd(status.settled_picousd)} USD"


def assignment_view(given: Assignment) -> AssignmentView:
    """What an agent is to do."""
    return AssignmentView(
        step=given.step,
        ticket=given.ticket,
        attempt=given.attempt,
        attempts_left=given.attempts_left,
        fn=given.fn,
        intent=given.intent,
        inputs=given.inputs,
        result_schema=given.schema,
        ensure=list(given.ensure),
        left=_left(given.left) if given.left else None,
        files=list(given.files),
        violation=given.message,
    )


def _left(limits: Mapping[str, int]) -> LeftView:
    return LeftView(
        usd=usd(limits["usd"]) if "usd" in limits else None, tokens=limits.get("tokens"), ms=limits.get("ms")
    )


def _question(asked: Question) -> QuestionView:
    return QuestionView(
        step=asked.step,
        question=asked.question,
        options=list(asked.options),
        round=asked.round,
        answer_by=asked.answer_by,
    )


def _step(step: StepStatus) -> StepView:
    return StepView(
        id=step.id,
        fn=step.fn,
        kind=step.kind,
        standing=step.standing,
        attempts=step.attempts,
        usd=None if step.picousd is None else usd(step.picousd),
        retries=list(step.retries),
        error=step.error,
        flags=list(step.flags),
    )
