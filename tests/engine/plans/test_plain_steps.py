"""Steps that only compute, on the event loop: recorded many at a time, and yet done again, cut short and resumed like all others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.plans.plan_fixtures import open_project, reported, standing, started

from stratum import compute
from stratum.contracts.plan_errors import PlanFailed

calls: list[str] = []


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    calls.clear()


@compute(inline=True)
def tick() -> int:
    calls.append("tick")
    return len(calls)


@compute(inline=True)
def stumble_once() -> int:
    calls.append("stumble")
    if len(calls) == 1:
        raise LookupError("not yet")
    return 1


async def test_those_of_a_plan_that_is_repeated_are_done_each_time(tmp_path: Path) -> None:
    text = """
        steps:
        - {id: a, fn: inner, repeat: {until: result >= 3, limit: 5, score: result}}
        plans:
          inner: {steps: [{id: t, fn: tick}]}
    """
    async with open_project(tmp_path, steps=[tick]) as plans:
        run = await started(plans, text)
        assert await run.result() == 3


async def test_those_of_a_plan_that_is_to_mend_something_are_done_again(tmp_path: Path) -> None:
    text = """
        steps:
        - {id: a, fn: inner}
        - {id: b, fn: look, inputs: {at: $.steps.a.output}, ensure: result > 10, repair: a}
        plans:
          inner: {steps: [{id: t, fn: tick}]}
    """
    async with open_project(tmp_path, steps=[tick]) as plans:
        run = await started(plans, text)
        for result in (1, 11):
            await reported(run, "b", result)
        assert await run.result() == 11
    assert calls == ["tick", "tick"]


async def test_one_that_failed_and_then_succeeded_is_done(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=[stumble_once]) as plans:
        run = await started(plans, "steps: [{id: a, fn: stumble_once}]")
        with pytest.raises(PlanFailed, match="not yet"):
            await run.result()
        run = await plans.start(run.id)
        assert await run.result() == 1
        assert standing(run.status()) == standing(await plans.status(run.id)) == {"a": "done"}
