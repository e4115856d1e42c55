"""Checking a plan: everything that is wrong with it, at once, before anything of it is shown or run."""

from __future__ import annotations

import msgspec

from stratum.contracts.errors import PlanError
from stratum.contracts.plans.checker import MAX_STEPS, PlanChecker
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.step_types import PlanTypes
from stratum.contracts.problem import Enough, Problem, Problems, at, shown, visible
from stratum.contracts.registry import Registry

MAX_PLANS = 100
"""Within a plan."""


def check(plan: ExecutionPlan, registry: Registry) -> list[Problem]:
    """Everything that is wrong with `plan`, in its order; an empty list if it can be shown and run."""
    return _Whole(plan, registry).checked()[0]


def compile_plan(plan: ExecutionPlan, registry: Registry) -> CompiledPlan:
    """Check `plan` and make it ready to run.

    Raises:
        PlanError: with everything that is wrong with it.
    """
    problems, compiled = _Whole(plan, registry).checked()
    if compiled is None:
        raise PlanError(problems=problems)
    return compiled


class _Whole:
    """A plan with the plans within it."""

    def __init__(self, plan: ExecutionPlan, registry: Registry) -> None:
        self._plan = plan
        self._registry = registry
        self._problems = Problems()
        self._compiled: dict[str, CompiledPlan | None] = {}
        self._compiling: list[str] = []

    def checked(self) -> tuple[list[Problem], CompiledPlan | None]:
        compiled = None
        try:
            if self._is_small_enough() and self._can_be_written():
                self._types = PlanTypes(self._plan.contracts, self._registry, self._problems)
                for name in self._plan.plans:
                    self._sub_plan(name, "")
                compiled = self._checker(self._plan, "$").compiled()
        except Enough:
            compiled = None
        problems = self._problems.in_order()
        return problems, None if problems else compiled

    def _checker(self, plan: ExecutionPlan, path: str) -> PlanChecker:
        return PlanChecker(
            plan,
            path=path,
            registry=self._registry,
            types=self._types,
            problems=self._problems,
            sub_plan=self._sub_plan,
        )

    def _sub_plan(self, name: str, path: str) -> CompiledPlan | None:
        """A plan within this one, compiled once; recursion, which has no end, is noted at `path`."""
        if name in self._compiling:
            way = " -> ".join(visible(each) for each in (*self._compiling[self._compiling.index(name) :], name))
            self._problems.add(path, f"this plan runs itself: {way}", "break the circle; use `repeat` to do it again")
            return None
        if name not in self._compiled:
            plan, own_path = self._plan.plans[name], at("$.plans", name)
            self._compiling.append(name)
            if plan.plans or plan.contracts:
                self._problems.add(
                    own_path, "it has plans or contracts of its own", "declare them in the outermost plan"
                )
            # It may run its siblings.
            siblings = msgspec.structs.replace(plan, plans=self._plan.plans)
            compiled = self._checker(siblings, own_path).compiled()
            self._compiled[name] = compiled and msgspec.structs.replace(compiled, plan=plan, digest=plan.digest)
            self._compiling.pop()
        return self._compiled[name]

    def _is_small_enough(self) -> bool:
        steps = len(self._plan.steps) + sum(len(plan.steps) for plan in self._plan.plans.values())
        if steps > MAX_STEPS:
            self._problems.add("$.steps", f"there are {steps:,} steps; at most {MAX_STEPS:,}", "split the plan")
        if len(self._plan.plans) > MAX_PLANS:
            self._problems.add("$.plans", f"there are more than {MAX_PLANS} plans within it", "split the plan")
        return not len(self._problems)

    def _can_be_written(self) -> bool:
        """False if something in it has no JSON."""
        try:
            msgspec.json.encode(self._plan)
        except UnicodeEncodeError as error:
            self._problems.add("$", f"{shown(error.object)} holds half of a character", "write the whole character")
        except RecursionError:
            self._problems.add("$", "a value in it is nested too deeply", "make it flatter")
        return not len(self._problems)
