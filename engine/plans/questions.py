"""`OpenQuestion`: what a run asks a person, as its records have it: for whoever answers from another process.

A plan's gate, a condition that a person judges, or what a flow asks by `await_human`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, Literal, cast

import msgspec

from stratum.contracts.messages import AnswerGate, AnswerReview
from stratum.contracts.plans.plan import ExecutionPlan, Step
from stratum.contracts.problem import legible
from stratum.contracts.python_value import shown
from stratum.contracts.records import GateOpened
from stratum.contracts.shape import is_dict
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.step_history import StepHistory

MAX_SEEN: Final = 3_000
"""Characters of what a person is shown with a question: forms and windows are small."""


class OpenQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """One that waits for its answer."""

    step: str
    question: str
    options: tuple[str, ...]
    """As a person types them; empty: any value of `type`."""
    type: str = ""
    """Of the answer, by name; empty: one of the options."""
    round: int = 1
    answer_by: str = ""
    """UTC, ISO 8601; empty: no deadline."""
    of_plan: bool
    """Asked by a plan's step, not by a flow or a function."""
    seen: str = ""
    """What there is to judge by, in lines: what was reported for the step, or else what the steps before a gate gave."""

    def answered(self, value: str, *, by: str, comment: str) -> AnswerGate | AnswerReview:
        """The message that answers it; whether it is an answer at all is for the owner to say."""
        if self.of_plan:
            decision = cast('Literal["approve", "revise", "kill"]', value)
            return AnswerGate(by=by, step=self.step, decision=decision, comment=comment)
        return AnswerReview(by=by, step=self.step, value=value, rationale=comment)


def open_questions(past: PlanHistory) -> list[OpenQuestion]:
    """What a run of a plan or a flow asks, oldest first; nothing if it has ended."""
    if past.finished is not None:
        return []
    plan = None if past.proposed is None else past.plan
    found: list[OpenQuestion] = []
    for id, step in past.steps.items():
        known = past.by_id.get(id)
        if plan is not None and known is not None:
            if known.gate is not None and not known.done:
                found.append(_of_plan(past, known, known.gate, plan))
        elif step.gate is not None and step.finished is None:
            found.append(_of_flow(step.gate))
    return found


def _of_plan(past: PlanHistory, known: StepHistory, opened: GateOpened, plan: ExecutionPlan) -> OpenQuestion:
    step = _written(plan, known.id)
    gate = None if step is None else step.gate
    revisable = gate is None or (gate.revise and known.asked_repairs < gate.max_rounds)
    return OpenQuestion(
        step=known.id,
        question=opened.question if gate is None else gate.question,
        options=("approve", "revise", "kill") if revisable else ("approve", "kill"),
        round=opened.round,
        answer_by=opened.answer_by,
        of_plan=True,
        seen=legible("\n".join(_seen(past, known, step)), most=MAX_SEEN),
    )


def _seen(past: PlanHistory, known: StepHistory, step: Step | None) -> Iterator[str]:
    if known.reported is not None:
        yield f"what step {known.id} reported: {_written_out(bytes(known.reported.body))}"
    elif step is not None and step.gate is not None:
        outer = known.id.rpartition("/")[0]
        for other in dict.fromkeys((*step.depends_on, *filter(None, (step.gate.revise,)))):
            id = f"{outer}/{other}" if outer else other
            if past.done(id) and not (id in past.by_id and past.by_id[id].skipped is not None):
                yield f"what step {id} gave: {_written_out(past.plain[id] if id in past.plain else past.by_id[id].output)}"


def _written_out(output: bytes) -> str:
    """A recorded value as a person reads it."""
    value = shown(output)
    if is_dict(value) and value.keys() == {"value"}:  # what is no object is recorded as one
        value = value["value"]
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _of_flow(opened: GateOpened) -> OpenQuestion:
    values = [msgspec.json.decode(option) for option in opened.options]
    return OpenQuestion(
        step=opened.call,
        question=opened.question,
        options=tuple(
            value if isinstance(value, str) else option for value, option in zip(values, opened.options, strict=True)
        ),
        type=opened.type,
        answer_by=opened.answer_by,
        of_plan=False,
    )


def _written(plan: ExecutionPlan, id: str) -> Step | None:
    """The step as the plan has it; of a plan within, `OUTER/INNER`."""
    outer, _, inner = id.partition("/")
    step = next((step for step in plan.steps if step.id == outer), None)
    if not inner or step is None:
        return step
    within = plan.plans.get(step.fn)
    # Plans within may run each other: all are declared in the outermost.
    return None if within is None else _written(msgspec.structs.replace(within, plans=plan.plans), inner)
