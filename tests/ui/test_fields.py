"""A plan changed in a form: what was typed is in it, what was not touched stays, and nothing is lost where it is not taken."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.report.test_page import HOSTILE, seen
from tests.ui.page_fixtures import Visitor, project, proposed

from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.text import read_plan
from stratum.ui.plan_fields import MOST_STEPS, edited, fields_of

PLAN = """
goal: Say it
steps:
- {id: a, intent: Look around, output: str, ensure: [len(result) > 1, it reads well], retries: 2}
- {id: b, command: [echo, loud], depends_on: [a], ensure: {command: [test, -f, "a b"]}}
- {id: g, gate: {question: Go on?}, depends_on: [b]}
budget: {usd: 0.50, ms: 90500, on_exhaustion: drain}
"""


def changed(**sent: str) -> dict[str, Any]:
    """The plan's document with these fields, whose names have `__` for a dot."""
    plan = read_plan(PLAN)
    return edited(
        plan, {**fields_of(plan), **{name.replace("__", ".").lstrip("_"): text for name, text in sent.items()}}
    )


def test_a_form_that_was_not_touched_changes_nothing() -> None:
    assert changed() == msgspec.to_builtins(read_plan(PLAN))


def test_every_field_is_in_the_plan_that_is_made_of_it() -> None:
    document = changed(
        goal="Say it twice",
        usd="0.25",
        seconds="",
        tokens="1000",
        _0__intent="Look\ncloser",
        _0__retries="0",
        _0__usd="0.1",
        _0__ensure__0__text="len(result) > 2",
        _0__ensure__1__text="",
        _0__ensure__2__text="pytest -q 'a b'",
        _0__ensure__2__form="command",
        _2__question="Really?",
    )
    plan = msgspec.convert(document, ExecutionPlan)
    assert plan == read_plan(
        """
        goal: Say it twice
        steps:
        - {id: a, intent: "Look\\ncloser", output: str, ensure: [len(result) > 2, {command: [pytest, -q, a b]}], retries: 0, budget: {usd: 0.1}}
        - {id: b, command: [echo, loud], depends_on: [a], ensure: {command: [test, -f, "a b"]}}
        - {id: g, gate: {question: Really?}, depends_on: [b]}
        budget: {usd: 0.25, tokens: 1000, on_exhaustion: drain}
        """
    )


def test_an_empty_budget_is_none() -> None:
    assert "budget" not in changed(usd="", seconds="")


def test_what_waited_for_a_step_that_is_taken_out_waits_for_what_it_waited_for() -> None:
    steps = changed(_1__remove="yes")["steps"]
    assert [step["id"] for step in steps] == ["a", "g"]
    assert [list(step.get("depends_on", ())) for step in steps] == [[], ["a"]]


@given(st.text(), st.text())
def test_a_text_that_a_form_would_change_has_no_field(goal: str, intent: str) -> None:
    plan = msgspec.structs.replace(read_plan(PLAN), goal=goal)
    step = msgspec.structs.replace(plan.steps[0], intent=intent)
    plan = msgspec.structs.replace(plan, steps=(step, *plan.steps[1:]))
    fields = fields_of(plan)
    for text in fields.values():
        assert not set(text) & set("\0\r\x0c\u202e\ud800")
    assert edited(plan, fields)["goal" if goal else "steps"] == (goal or edited(plan, {})["steps"])


async def sent_back(page: Visitor, path: str, **typed: str) -> str:
    """The form of the page as a browser sends it, with this typed into it."""
    inputs = re.findall(r'<input id="[^"]*" name="([^"]*)" value="([^"]*)"', page.html)
    areas = re.findall(r'<textarea id="[^"]*" name="([^"]*)"[^>]*>\n(.*?)</textarea>', page.html, flags=re.DOTALL)
    chosen = re.findall(r'<select id="[^"]*" name="([^"]*)">.*?<option value="(\w+)" selected>', page.html)
    filled = {name: unescape(value) for name, value in (*inputs, *areas, *chosen)}
    return await page.sends(path, **{**filled, **typed})


async def test_a_plan_is_edited_in_a_form(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await proposed(plans, PLAN)
        before = await plans.plan(run)
        await page.opens(f"/runs/{run}/edit")
        assert "Nothing was changed" in await sent_back(page, f"/runs/{run}/edit")
        await page.opens(f"/runs/{run}/edit")
        answer = await sent_back(page, f"/runs/{run}/edit", **{"0.ensure.0.text": "len(result) > 2", "usd": "0.25"})
        assert "to be approved anew" in answer
        after = await plans.plan(run)
        assert after.budget is not None and after.budget.usd == 0.25
        assert [each.text for each in after.steps[0].conditions] == ["len(result) > 2", "it reads well"]
        assert after.steps[1:] == before.steps[1:]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"usd": "a lot"}, "a lot"),
        ({"usd": "-1"}, "budget"),
        ({"0.retries": "1.5"}, "step a: retries"),
        ({"0.ensure.0.text": "len(result"}, "step a: ensure[0]"),
        ({"1.ensure.0.text": "test 'a"}, "step b: ensure"),
        ({"0.ensure.2.text": "result.x", "0.ensure.2.form": "nonsense"}, "nonsense"),
        ({"0.remove": "yes", "1.remove": "yes", "2.remove": "yes"}, "steps"),
        ({"2.question": HOSTILE, "usd": HOSTILE}, "budget"),
    ],
)
async def test_what_is_wrong_is_told_with_all_that_was_typed(tmp_path: Path, typed: dict[str, str], told: str) -> None:
    async with project(tmp_path) as (plans, page):
        run = await proposed(plans, PLAN)
        before = await plans.status(run)
        await page.opens(f"/runs/{run}/edit")
        answer = await sent_back(page, f"/runs/{run}/edit", goal="Typed by me", **typed)
        assert page.status == 422
        assert "nothing was changed" in answer
        assert told in seen(answer).text
        assert "Typed by me" in answer
        assert not {"img"} & seen(answer).tags
        assert await plans.status(run) == before


async def test_a_form_of_a_plan_that_was_changed_meanwhile_is_not_taken_for_one_of_the_new(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await proposed(plans, PLAN)
        await page.opens(f"/runs/{run}/edit")
        await plans.revise(run, read_plan("steps: [{id: z, command: [echo, z]}]"), by="agent")
        answer = await sent_back(page, f"/runs/{run}/edit", **{"0.intent": "Mine"})
        assert page.status == 409
        assert "changed meanwhile; nothing was saved" in answer
        assert "intent: Mine" in answer
        assert (await plans.plan(run)).steps[0].id == "z"


async def test_a_plan_of_many_steps_is_edited_as_text(tmp_path: Path) -> None:
    steps = "\n".join(f"- {{id: s{number}, command: [echo, x]}}" for number in range(MOST_STEPS + 1))
    async with project(tmp_path) as (plans, page):
        run = await proposed(plans, f"steps:\n{steps}")
        assert "Plan, as YAML" in await page.opens(f"/runs/{run}/edit")
