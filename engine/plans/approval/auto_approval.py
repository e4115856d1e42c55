"""`Ruling`: whether a user's policy approves a plan, or why a person is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from stratum.contracts.money import format_usd
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import Kind, Step
from stratum.engine.plans.approval.policy import PRICED, Policy
from stratum.engine.plans.estimate import Estimator
from stratum.engine.pricing.prices import Prices
from stratum.engine.settings import SettingsError


class Ruling(NamedTuple):
    """What a policy says of one plan."""

    file: str = ""
    """The policy; empty: there is none."""
    reasons: Sequence[str] = ()
    """Why it leaves the plan to a person."""
    broken: str = ""
    """Why it cannot be believed, or not be understood."""

    @property
    def approves(self) -> bool:
        return bool(self.file) and not self.reasons

    @property
    def first_reason(self) -> str:
        return self.reasons[0] if self.reasons else ""

    @property
    def said(self) -> str:
        """In words; empty where there is no policy."""
        if self.broken:
            return f"{self.broken}; nothing starts until then"
        if not self.file:
            return ""
        if not self.reasons:
            return f"{self.file} approves it"
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        return f"{self.file} leaves it to you: {self.first_reason}{more}"


def ruling(policy: Policy | SettingsError, compiled: CompiledPlan, estimator: Estimator, prices: Prices) -> Ruling:
    """An estimate is a guess, so the plan's own budget has to bound it as well: it may not be above what the policy allows all
    its kinds together. What the plan itself says of its cost is not looked at.
    """
    if isinstance(policy, SettingsError):
        return Ruling(broken=str(policy))
    if not policy.file:
        return Ruling()
    if not policy.auto_approve:
        return Ruling(policy.file, ["auto_approve is not in it"])
    doubt = prices.doubt()
    reasons = [*([doubt] if doubt else []), *_reasons(policy, compiled, estimator.costs_by_kind(compiled))]
    return Ruling(policy.file, reasons)


def _reasons(policy: Policy, compiled: CompiledPlan, costs: Mapping[Kind, int | None]) -> list[str]:
    """`costs` in picodollars by kind, `None` where nobody can tell."""
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
