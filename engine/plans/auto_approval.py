"""`reasons_to_ask`: whether a user's policy approves a plan, or why a person is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.money import format_usd
from stratum.contracts.plan import Kind, Step
from stratum.engine.plans.policy import PRICED, Policy


def reasons_to_ask(policy: Policy, compiled: CompiledPlan, *, costs: Mapping[Kind, int | None]) -> list[str]:
    """Why the policy leaves the plan to a person; nothing: it approves it.

    `costs` are estimates in picodollars by kind, `None` where nobody can tell. An estimate is a guess, so the plan's own budget
    has to bound it as well: it may not be above what the policy allows all its kinds together.
    """
    kinds = dict(_kinds(compiled))
    reasons = list(dict.fromkeys(_programs(compiled)))
    for kind in PRICED:
        if kind not in kinds:
            continue
        most, cost = policy.auto_approve.get(kind), costs.get(kind, 0)
        if most is None:
            reasons.append(f"auto_approve has no {kind}, which step {kinds[kind]} is")
        elif cost is None:
            reasons.append(f"nobody can tell what its {kind} steps cost")
        elif cost > most:
            reasons.append(f"its {kind} steps are estimated at ${format_usd(cost)}, above ${format_usd(most)}")
    budget = None if compiled.plan.budget is None else compiled.plan.budget.picousd
    allowed = sum(policy.auto_approve.get(kind, 0) for kind in kinds)
    if budget is None:
        reasons.append("no budget in USD bounds what it may cost")
    elif budget > allowed:
        reasons.append(f"its budget of ${format_usd(budget)} is above ${format_usd(allowed)}")
    return reasons


def ruling(reasons: Sequence[str]) -> str:
    """What follows from them, in words: `approves it`, or `leaves it to you: ...`."""
    return f"leaves it to you: {'; '.join(reasons)}" if reasons else "approves it"


def _kinds(compiled: CompiledPlan) -> Iterator[tuple[Kind, str]]:
    """The kinds of all its steps, those of the plans within it included, each with a step that is of it."""
    for inner in compiled.plans.values():
        yield from _kinds(inner)
    yield from zip(compiled.kinds, (step.id for step in compiled.plan.steps), strict=True)


def _programs(compiled: CompiledPlan) -> Iterator[str]:
    """Steps and conditions that run one: what that does, no price bounds."""
    for step, kind in zip(compiled.plan.steps, compiled.kinds, strict=True):
        if kind == "command" or step.program is not None:
            yield f"step {step.id} runs a program"
        elif any(condition.command for condition in step.conditions) or _asks_a_program(compiled, step):
            yield f"a condition of step {step.id} runs a program"
    for inner in compiled.plans.values():
        yield from _programs(inner)


def _asks_a_program(compiled: CompiledPlan, step: Step) -> bool:
    texts = [step.when, *(condition.expr for condition in step.conditions)]
    if step.repeat is not None:
        texts += [step.repeat.until, step.repeat.score]
    return any(compiled.expressions[text].commands for text in texts if text)
