from __future__ import annotations

import pytest

from stratum.contracts.errors import PlanError
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.plan import ExecutionPlan, Step
from stratum.contracts.registry import Registry
from stratum.engine.plans.approval.proposal import proposed
from stratum.engine.plans.compiled_plans import KEPT, MAX_KEPT_BYTES, CompiledPlans

REGISTRY = Registry()


def plan(goal: str = "") -> ExecutionPlan:
    return ExecutionPlan(goal=goal, steps=(Step(id="1", fn="look"),))


def test_a_plan_that_was_checked_is_not_checked_again() -> None:
    plans = CompiledPlans(REGISTRY)

    assert plans.of(plan()) is plans.of(plan())
    assert plans.of(plan("another")) is not plans.of(plan())


def test_a_plan_that_comes_compiled_is_taken_as_it_is() -> None:
    plans = CompiledPlans(REGISTRY)
    compiled = compile_plan(plan(), REGISTRY)

    assert plans.of(compiled) is compiled
    assert plans.of(plan()) is compiled


def test_a_plan_that_is_not_valid_is_refused_each_time() -> None:
    plans = CompiledPlans(REGISTRY)
    for _ in range(2):
        with pytest.raises(PlanError):
            plans.of(ExecutionPlan(steps=(Step(id="1", fn="look", depends_on=("2",)),)))


def test_what_was_proposed_is_found_by_its_record() -> None:
    plans = CompiledPlans(REGISTRY)
    compiled = plans.of(plan())
    record = proposed(compiled, {}, by="agent", modules=())

    assert plans.proposed(record) is compiled
    assert CompiledPlans(REGISTRY).proposed(record) == compiled


def test_only_the_last_few_are_kept_and_of_large_ones_the_last() -> None:
    plans = CompiledPlans(REGISTRY)
    first, large = plans.of(plan()), plans.of(plan("x" * MAX_KEPT_BYTES))
    assert plans.of(plan("x" * MAX_KEPT_BYTES)) is large
    plans.of(plan("y" * MAX_KEPT_BYTES))
    assert plans.of(plan("x" * MAX_KEPT_BYTES)) is not large
    assert plans.of(plan()) is first
    for number in range(KEPT):
        plans.of(plan(str(number)))

    assert plans.of(plan()) is not first
