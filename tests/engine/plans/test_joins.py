"""Joins: steps that begin though not all that they wait for has succeeded. CASES H36."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tests.engine.plans.plan_fixtures import asked, assigned, open_project, reported, standing, started
from trio.testing import MockClock

from stratum import BudgetExceeded, compute
from stratum.contracts.audit import audit_of, render_audit
from stratum.contracts.plans.errors import MergeConflict, PlanFailed, RunCancelled
from stratum.engine.plans.plans import Plans

broken: set[str] = set()
calls: list[str] = []


@compute(inline=True)
def look(at: str) -> str:
    calls.append(at)
    if at in broken:
        raise LookupError(f"{at} is broken")
    return at.upper()


@compute(inline=True)
def pass_on(text: str) -> str:
    calls.append(f"on {text}")
    return text


@compute(inline=True)
def gather(found: list[str | None]) -> str:
    calls.append("gather")
    return " ".join(each or "-" for each in found)


@compute(inline=True)
def either(one: str | None, other: str | None) -> str:
    return one or other or "nothing"


@compute
async def nap(seconds: float) -> str:
    await trio.sleep(seconds)
    return "awake"


STEPS = [look, pass_on, gather, either, nap]

THREE = """
steps:
- {id: a, fn: look, inputs: {at: a}}
- {id: b, fn: look, inputs: {at: b}}
- {id: c, fn: look, inputs: {at: c}}
- {id: d, fn: gather, inputs: {found: [$.steps.a.output, $.steps.b.output, $.steps.c.output]}, require: REQUIRE}
"""


@pytest.fixture(autouse=True)
def as_before() -> None:
    broken.clear()
    calls.clear()


async def failure(plans: Plans, text: str) -> str:
    with pytest.raises(PlanFailed) as caught:
        await (await started(plans, text)).result()
    return str(caught.value)


@pytest.mark.parametrize(
    ("require", "lost", "result"),
    [
        ("any", "ab", "- - C"),
        ("1", "", "A B C"),
        ("2", "b", "A - C"),
        ("any", "abc", None),
        ("2", "ac", None),
        ("3", "a", None),
        ("all", "a", None),
    ],
)
async def test_a_join_begins_if_enough_of_what_it_waits_for_succeeded(
    tmp_path: Path, require: str, lost: str, result: str | None
) -> None:
    """CASES H36."""
    broken.update(lost)
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, THREE.replace("REQUIRE", require))
        if result is not None:
            assert await run.result() == result
        else:
            with pytest.raises(PlanFailed):
                await run.result()
            assert "gather" not in calls
        status = await plans.status(run.id)
    expected = {step: "failed" if step in lost else "done" for step in "abc"}
    if require != "all":  # else the first failure stops the others
        assert standing(status) == {**expected, "d": "failed" if result is None else "done"}


async def test_what_could_not_be_waited_for_is_told_and_tried_again_on_resume(tmp_path: Path) -> None:
    broken.update("ab")
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, THREE.replace("REQUIRE", "2"))
        with pytest.raises(PlanFailed, match="step d failed: it requires 2 of .* 1 succeeded, not a, b; mend those"):
            await run.result()
        broken.clear()
        calls.clear()
        assert await (await plans.start(run.id)).result() == "A B C"
        assert sorted(calls) == ["a", "b", "gather"]


async def test_a_loss_that_a_join_went_on_without_stays_one(tmp_path: Path) -> None:
    """As with every step: what has counted is not done again."""
    text = THREE.replace("REQUIRE", "any") + "- {id: e, intent: Look at it, inputs: {it: $.steps.d.output}}\n"
    broken.update("ab")
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, text)
        await assigned(run, "e")
    broken.clear()
    calls.clear()
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await plans.start(run.id)
        assert (await assigned(run, "e")).inputs == {"it": "- - C"}
        assert standing(run.status()) == {"a": "failed", "b": "failed", "c": "done", "d": "done", "e": "handed_out"}
        await reported(run, "e", "seen")
        await run.result()
        assert standing(await plans.status(run.id))["a"] == "failed"
        assert calls == []
        records = await plans.runtime.journal.read(run.id)
    lines, retries = audit_of(records)
    assert render_audit(lines, extra_retries=retries).endswith("0 retries, 2 failed")


BRANCHES = """
steps:
- {id: a, fn: look, inputs: {at: a}}
- {id: a2, fn: pass_on, inputs: {text: $.steps.a.output}}
- {id: a3, fn: pass_on, inputs: {text: $.steps.a2.output}}
- {id: b, fn: look, inputs: {at: b}}
- {id: c, fn: either, inputs: {one: $.steps.a3.output, other: $.steps.b.output}, require: any}
- {id: d, fn: pass_on, inputs: {text: $.steps.c.output}}
"""


async def test_what_comes_after_a_failure_on_the_way_to_a_join_is_never_begun(tmp_path: Path) -> None:
    broken.add("a")
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, BRANCHES)
        assert await run.result() == "B"
        live = standing(run.status())
        assert live == standing(await plans.status(run.id)) | {"a2": "blocked", "a3": "blocked"}
        assert live == {"a": "failed", "a2": "blocked", "a3": "blocked", "b": "done", "c": "done", "d": "done"}
        assert sorted(calls) == ["a", "b", "on B"]


@pytest.mark.parametrize(
    "also", ["- {id: z, fn: pass_on, inputs: {text: $.steps.a.output}}", "output: $.steps.a.output"]
)
async def test_a_step_that_is_also_wanted_otherwise_may_not_fail(tmp_path: Path, also: str) -> None:
    broken.add("a")
    async with open_project(tmp_path, steps=STEPS) as plans:
        assert "step a failed: a is broken" in await failure(plans, f"{BRANCHES}{also}\n")


async def test_where_all_goes_on_a_join_is_reached_and_the_plan_fails_all_the_same(tmp_path: Path) -> None:
    text = f"fail_fast: false\n{BRANCHES}- {{id: z, fn: pass_on, inputs: {{text: $.steps.a.output}}}}\noutput: $.steps.d.output\n"
    broken.add("a")
    async with open_project(tmp_path, steps=STEPS) as plans:
        told = await failure(plans, text)
        assert "step a failed: a is broken" in told and "step z" not in told
        assert sorted(calls) == ["a", "b", "on B"]


STAND_IN = """
steps:
- {id: a, fn: look, inputs: {at: a}, on_fail: a2}
- {id: a2, fn: look, inputs: {at: a2}}
- {id: b, fn: look, inputs: {at: b}}
- {id: c, fn: gather, inputs: {found: [$.steps.a.output, $.steps.b.output]}, require: REQUIRE}
"""


async def test_whom_another_stood_in_for_has_succeeded(tmp_path: Path) -> None:
    broken.add("a")
    async with open_project(tmp_path, steps=STEPS) as plans:
        assert await (await started(plans, STAND_IN.replace("REQUIRE", "2"))).result() == "A2 B"


async def test_whose_stand_in_fails_too_is_lost(tmp_path: Path) -> None:
    broken.update(["a", "a2"])
    async with open_project(tmp_path, steps=STEPS) as plans:
        assert await (await started(plans, STAND_IN.replace("REQUIRE", "1"))).result() == "- B"
        assert "1 succeeded, not a;" in await failure(plans, STAND_IN.replace("REQUIRE", "2"))


async def test_a_join_that_cannot_begin_may_have_a_stand_in(tmp_path: Path) -> None:
    broken.update("ab")
    text = STAND_IN.replace("on_fail: a2}", "on_fail: a2}").replace("REQUIRE}", "2, on_fail: e}")
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, f"{text}- {{id: e, fn: look, inputs: {{at: e}}}}\noutput: $.steps.c.output\n")
        assert await run.result() == "E"


async def test_an_agent_may_give_up_where_others_suffice(tmp_path: Path) -> None:
    text = """
steps:
- {id: a, intent: Try one way, output: str, retries: 0}
- {id: b, intent: Try another, output: str, retries: 0}
- {id: c, fn: either, inputs: {one: $.steps.a.output, other: $.steps.b.output}, require: any}
"""
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, text)
        ticket = (await assigned(run, "a")).ticket
        verdict = await run.fail("a", "it leads nowhere", ticket=ticket)
        assert verdict.failed
        assert run.state == "running"
        await reported(run, "b", "this way")
        assert await run.result() == "this way"


async def test_a_conflict_of_changes_is_never_done_without(tmp_path: Path) -> None:
    """CASES H36."""
    text = """
steps:
- {id: a, intent: Try one way, output: str, retries: 1}
- {id: b, intent: Try another, output: str}
- {id: c, fn: either, inputs: {one: $.steps.a.output, other: $.steps.b.output}, require: any}
"""
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, text)
        for attempt in (1, 2):
            ticket = (await assigned(run, "a")).ticket
            verdict = await run.fail("a", "same lines", ticket=ticket, conflict=True)
            assert verdict.failed == (attempt == 2)
        with pytest.raises(PlanFailed, match="step a failed") as caught:
            await run.result()
        assert isinstance(caught.value.__cause__, MergeConflict)


async def test_a_gate_can_be_a_join_and_who_ends_the_run_at_another_ends_it(tmp_path: Path) -> None:
    text = """
steps:
- {id: a, fn: look, inputs: {at: a}}
- {id: b, fn: look, inputs: {at: b}}
- {id: g, gate: {question: "Go on with this?"}, depends_on: [a, b], require: any}
- {id: h, gate: {question: "And this?"}}
- {id: c, fn: look, inputs: {at: c}, depends_on: [g, h], require: any}
"""
    broken.add("a")
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, text)
        await asked(run, "g")
        await asked(run, "h")
        run.answer("h", "kill", by="ada")
        with pytest.raises(RunCancelled):
            await run.result()


async def test_a_step_that_spends_its_own_budget_is_lost_alone(tmp_path: Path, autojump_clock: MockClock) -> None:
    text = """
steps:
- {id: a, fn: nap, inputs: {seconds: 60.0}, budget: {ms: 1000}}
- {id: b, fn: nap, inputs: {seconds: 2.0}}
- {id: c, fn: either, inputs: {one: $.steps.a.output, other: $.steps.b.output}, require: any}
"""
    async with open_project(tmp_path, steps=STEPS, journal=None) as plans:
        run = await started(plans, text)
        assert await run.result() == "awake"
        assert trio.current_time() == 2.0
        with pytest.raises(BudgetExceeded):
            await (await started(plans, f"budget: {{ms: 1500}}\n{text}")).result()


async def test_a_violation_that_is_sent_back_over_a_join_starts_what_was_lost_again(tmp_path: Path) -> None:
    text = """
steps:
- {id: s, fn: look, inputs: {at: s}}
- {id: a, fn: look, inputs: {at: a}, depends_on: [s]}
- {id: b, fn: look, inputs: {at: b}, depends_on: [s]}
- {id: c, intent: Look, inputs: {one: $.steps.a.output}, output: str, depends_on: [b], require: any, ensure: result != "no", repair: s}
"""
    broken.add("a")
    async with open_project(tmp_path, steps=STEPS) as plans:
        run = await started(plans, text)
        assert (await assigned(run, "c")).inputs == {"one": None}
        broken.clear()
        await reported(run, "c", "no")
        assert (await assigned(run, "c")).inputs == {"one": "A"}
        assert sorted(calls) == ["a", "a", "b", "b", "s", "s"]
        await reported(run, "c", "yes")
        assert await run.result() == "yes"


async def test_a_branch_may_be_a_plan_of_its_own(tmp_path: Path) -> None:
    text = """
plans:
  inner:
    steps:
    - {id: x, fn: look, inputs: {at: x}}
    - {id: y, fn: look, inputs: {at: y}}
    - {id: z, fn: either, inputs: {one: $.steps.x.output, other: $.steps.y.output}, require: REQUIRE}
steps:
- {id: a, fn: inner}
- {id: b, fn: look, inputs: {at: b}}
- {id: c, fn: gather, inputs: {found: [$.steps.a.output, $.steps.b.output]}, require: any}
"""
    broken.add("x")
    async with open_project(tmp_path, steps=STEPS) as plans:
        assert await (await started(plans, text.replace("REQUIRE", "any"))).result() == "Y B"
        run = await started(plans, text.replace("REQUIRE", "2"))
        assert await run.result() == "- B"
        assert standing(await plans.status(run.id))["a"] == "failed"
