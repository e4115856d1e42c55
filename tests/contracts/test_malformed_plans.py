"""Every malformed plan is refused at once, with the place, what is wrong and what to write instead."""

from __future__ import annotations

import time

import pytest

from stratum.contracts.errors import PlanError
from stratum.contracts.plans.text import load_plan
from tests.contracts.malformed_plans import Malformed, malformed
from tests.contracts.plan_registry import REGISTRY

ALL = list(malformed())
GENEROUS_S = 10
"""CPU seconds; the aim is one, but no test may depend on how busy the machine is."""


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 200


@pytest.mark.parametrize("key", ["gate", "command", "intent", "fn"])
def test_a_step_that_says_what_it_does_in_a_wrong_form_is_not_told_that_it_says_nothing(key: str) -> None:
    with pytest.raises(PlanError) as caught:
        load_plan(f"steps: [{{id: a, {key}: 5}}, {{id: b}}]", REGISTRY)
    assert [problem.path for problem in caught.value.problems] == [f"$.steps[0].{key}", "$.steps[1]"]


@pytest.mark.parametrize("given", ALL, ids=lambda given: f"{given.path} {given.problem}"[:60])
def test_a_malformed_plan_is_refused_with_place_problem_and_fix(given: Malformed) -> None:
    """CASES G5, G6, G13, G14, G17, G19, G23."""
    started = time.process_time()
    with pytest.raises(PlanError) as caught:
        load_plan(given.text, REGISTRY)
    assert time.process_time() - started < GENEROUS_S
    found = [problem for problem in caught.value.problems if problem.path == given.path]
    assert found, [str(problem) for problem in caught.value.problems][:5]
    told = [problem for problem in found if given.problem in problem.problem and given.fix in problem.fix]
    assert told, [str(problem) for problem in found][:5]
    assert all(problem.fix for problem in caught.value.problems), "every message ends with what to do"
    message = str(caught.value)
    assert message.replace("\n", "").isprintable()
    assert len(message) < 100_000
