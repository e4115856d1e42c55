"""Whether the budgets of a plan can hold what is to be done within them."""

from __future__ import annotations

from collections.abc import Sequence

from stratum.contracts.budget import Budget
from stratum.contracts.money import format_usd
from stratum.contracts.plans.plan import ExecutionPlan, Kind
from stratum.contracts.problem import Problems, at
from stratum.contracts.registry import Function


def check_budgets(
    plan: ExecutionPlan,
    kinds: Sequence[Kind],
    functions: Sequence[Function | None],
    *,
    path: str,
    problems: Problems,
) -> None:
    """Note budgets that are wider than the plan's, and those that cannot pay even one smallest call of each step."""
    least_picousd = least_tokens = 0
    for number, (step, kind, function) in enumerate(zip(plan.steps, kinds, functions, strict=True)):
        where = f"{path}.steps[{number}].budget"
        if step.budget is not None and plan.budget is not None:
            _check_within(step.budget, plan.budget, where, problems)
        if function is not None and kind == "infer":
            # A step that may be skipped need not be paid for.
            least_picousd += 0 if step.when else function.least_picousd
            least_tokens += 0 if step.when else function.least_tokens
            _check_enough(step.budget, function.least_picousd, function.least_tokens, where, problems)
    _check_enough(plan.budget, least_picousd, least_tokens, at(path, "budget"), problems)


def _check_within(inner: Budget, outer: Budget, path: str, problems: Problems) -> None:
    for axis in ("ms", "usd", "tokens"):
        limit, bound = getattr(inner, axis), getattr(outer, axis)
        if limit is not None and bound is not None and limit > bound:
            problems.add(at(path, axis), f"it is more than the plan's {bound:g}", "lower it, or raise the plan's")


def _check_enough(budget: Budget | None, picousd: int, tokens: int, path: str, problems: Problems) -> None:
    if budget is None:
        return
    if budget.picousd is not None and budget.picousd < picousd:
        least = format_usd(picousd)
        problems.add(at(path, "usd"), f"the smallest calls may already cost {least} USD", f"raise it above {least}")
    if budget.tokens is not None and budget.tokens < tokens:
        problem = f"the smallest calls may already take {tokens:,} tokens"
        problems.add(at(path, "tokens"), problem, f"raise it to {tokens} or more")
