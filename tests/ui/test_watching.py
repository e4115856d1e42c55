"""A run on the page, whichever session it is of: where it stands, what it asks, what it spends, and what stops it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

import pytest
import trio
from tests.engine.plans.plan_fixtures import asked, assigned, reported, started
from tests.engine.report.test_page import HOSTILE, seen
from tests.ui.page_fixtures import project, proposed, served

from stratum import Budget, await_human, compute, flow, open_runtime
from stratum.contracts.plans.errors import RunCancelled
from stratum.contracts.price import Usage
from stratum.engine.providers.scripted import scripted


@compute(inline=True)
def shout(text: str) -> str:
    return text.upper()


GATED = """
goal: Ask first
steps:
- {id: a, intent: Write it, output: str, ensure: len(result) > 1}
- {id: g, gate: {question: Does it read well?, revise: a}, depends_on: [a]}
"""


async def test_attempts_and_violations_and_what_was_spent_are_there_while_it_runs(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await started(plans, GATED + "budget: {usd: 0.50, ms: 600000, tokens: 1000}")
        await reported(run, "a", "x", usage=Usage(input_tokens=100, output_tokens=60))
        await page.reads(f"/runs/{run.id}", "len(result) &gt; 1 (actual: 1)")
        text = seen(page.html).text
        assert "$0.000 of $0.500 spent" in text
        assert "160 of 1,000 tokens" in text
        assert "handed out" in text
        assert "running: 0 of 2 steps done." in text
        run.cancel("enough")


async def test_a_gate_is_answered_from_the_page(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await started(plans, GATED)
        await reported(run, "a", f"a dull text {HOSTILE}")
        await asked(run, "g")
        assert "asks: Does it read well?" in await page.reads("/", "asks:")
        form = await page.opens(f"/runs/{run.id}")
        assert "Have it revised" in form
        assert "what step a gave: a dull text" in seen(form).text
        assert not {"img"} & seen(form).tags
        answer = await page.sends(f"/runs/{run.id}/answer", value="revise", comment=f"livelier {HOSTILE}")
        assert "Your answer was sent." in answer
        assert "Have it revised" not in answer
        again = await assigned(run, "a")
        assert "livelier" in again.message
        await run.report("a", "a lively text", ticket=again.ticket)
        await asked(run, "g")
        await page.reads(f"/runs/{run.id}", "Have it revised")
        await page.sends(f"/runs/{run.id}/answer", value="approve", comment="")
        assert (await run.result())["decision"] == "approve"
        html = await page.opens(f"/runs/{run.id}")
        assert "2 attempts" in seen(html).text
        assert not {"img"} & seen(html).tags
        assert "Total: " in seen(html).text
        assert (await page.http.get(f"{page.url}/runs/{run.id}/audit.jsonl")).text.count("\n") == 2
        assert "<!doctype html>" in await page.opens(f"/runs/{run.id}/report")


async def test_what_is_no_answer_or_comes_late_changes_nothing(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await started(plans, GATED)
        await reported(run, "a", "a dull text")
        await asked(run, "g")
        await page.reads(f"/runs/{run.id}", "Have it revised")
        fields = dict(page.fields)
        for value in ("yes", "", "APPROVE", "approve "):
            page.fields = dict(fields)
            assert "no answer to this question" in await page.sends(f"/runs/{run.id}/answer", value=value)
        for wrong in ({"step": "a"}, {"step": "h"}, {"round": "2"}, {"round": "x"}):
            page.fields = fields | wrong
            assert "not asked any more" in await page.sends(f"/runs/{run.id}/answer", value="approve")
        page.fields = dict(fields)
        assert "too long" in await page.sends(f"/runs/{run.id}/answer", value="approve", comment="x" * 5_000_000)
        page.fields = dict(fields)
        await page.sends(f"/runs/{run.id}/answer", value="kill")
        page.fields = dict(fields)
        assert "not asked any more" in await page.sends(f"/runs/{run.id}/answer", value="approve")
        assert (await plans.status(run.id)).state == "cancelled"
        assert "nobody to be told" in await page.sends(f"/runs/{run.id}/cancel", **fields)


async def test_a_run_is_cancelled_from_the_page(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await started(plans, GATED)
        await page.reads(f"/runs/{run.id}", "Cancel the run")
        answer = await page.sends(f"/runs/{run.id}/cancel", because="lunch")
        assert "asked to stop" in answer
        assert "cancelled" in answer
        assert "lunch" in answer
        assert f"stratum resume {run.id}" in answer


async def test_a_flow_is_cancelled_from_the_page(tmp_path: Path) -> None:
    ended = trio.Event()
    async with (
        open_runtime(provider=scripted(), journal=tmp_path / "stratum.db") as runtime,
        served(tmp_path) as page,
        trio.open_nursery() as nursery,
    ):

        async def work() -> None:
            with pytest.raises(RunCancelled, match="enough"):
                await runtime.run(release, version="1.0")
            ended.set()

        nursery.start_soon(work)
        await page.reads("/", "asks: Which kind?")
        run = (await runtime.journal.runs())[0].run
        await page.opens(f"/runs/{run}")
        assert "cancelled" in await page.sends(f"/runs/{run}/cancel", because="enough")
        await ended.wait()


async def test_calls_outside_of_a_flow_are_listed_and_shown_and_not_cancelled_or_resumed_here(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        await page.opens(f"/runs/{await proposed(plans, GATED)}")
        fields = page.fields
        async with open_runtime(provider=scripted(), journal=tmp_path / "stratum.db") as runtime:
            assert "calls outside" not in await page.opens("/")  # nothing was called yet
            assert await runtime.run(shout, "quiet") == "QUIET"
            session = runtime.session
            await page.reads("/", f'href="/runs/{session}"')  # what nobody waits for is on disk a moment later
            assert "(calls outside a flow)" in page.html and "session · " in page.html
            assert "QUIET" in await page.reads(f"/runs/{session}", "Step shout#1: ")
            assert "(calls outside a flow)" in page.html
            assert "Cancel the run" not in page.html
            await page.opens(f"/runs/{session}/limits")
            assert "Its limits cannot be raised now" in page.html
            # A form that was made up is told so, and stops nothing.
            page.fields = fields
            assert "stop the process that makes them" in await page.sends(f"/runs/{session}/cancel")
            assert await runtime.run(shout, "again") == "AGAIN"
        assert 'class="mark succeeded"' in await page.opens("/")
        assert "stratum resume" not in await page.opens(f"/runs/{session}")
        assert "Step shout#2: " in page.html


async def test_what_is_asked_outside_of_a_flow_waits_on_the_first_page_and_is_answered_there(tmp_path: Path) -> None:
    decided: list[str] = []
    async with (
        served(tmp_path) as page,
        open_runtime(provider=scripted(), journal=tmp_path / "stratum.db") as runtime,
        trio.open_nursery() as nursery,
    ):
        await runtime.run(shout, "quiet")
        assert "asks: " not in await page.opens("/")

        async def work() -> None:
            decided.append((await await_human("Which kind?", options=["big", "small"])).value)

        nursery.start_soon(work)
        await page.reads("/", "asks: Which kind?")
        await page.opens(f"/runs/{runtime.session}")
        assert "Your answer was sent" in await page.sends(f"/runs/{runtime.session}/answer", choice="2")
    assert decided == ["small"]


async def test_a_condition_that_a_person_judges_is_put_to_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with project(tmp_path) as (plans, page):
        run = await started(plans, "steps: [{id: a, intent: Write, output: str, ensure: it reads well}]")
        assignment = await assigned(run, "a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run.report("a", "text", ticket=assignment.ticket))
            await page.reads(f"/runs/{run.id}", "Does this hold? it reads well")
            await page.sends(f"/runs/{run.id}/answer", value="approve")
            assert await run.result() == "text"


@flow(budget=Budget(ms=60_000))
async def release(version: str) -> str:
    kind = await await_human(
        "Which kind?", options=["patch", "minor", "a much longer name of a kind than fits a button"]
    )
    count = await await_human("How many?", int)
    sure = await await_human("Sure?", bool)
    note = await await_human(f"A note? {HOSTILE}")
    return f"{version} {kind.value} {count.value} {sure.value} {note.value}"


async def test_a_flows_questions_are_answered_from_the_page_each_by_its_type(tmp_path: Path) -> None:
    results: list[str] = []
    async with open_runtime(provider=scripted(), journal=tmp_path / "stratum.db") as runtime, served(tmp_path) as page:

        async def work() -> None:
            results.append(await runtime.run(release, version="1.0"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await page.reads("/", "asks: Which kind?")
            run = (await runtime.journal.runs())[0].run
            assert 'type="radio"' in await page.opens(f"/runs/{run}")
            await page.sends(f"/runs/{run}/answer", choice="2")
            assert 'type="number" step="1"' in await page.reads(f"/runs/{run}", "How many?")
            await page.sends(f"/runs/{run}/answer", value="3", comment="three is enough")
            assert "<select" in await page.reads(f"/runs/{run}", "Sure?")
            await page.sends(f"/runs/{run}/answer", value="true")
            html = await page.reads(f"/runs/{run}", "A note?")
            assert "img" not in seen(html).tags
            await page.sends(f"/runs/{run}/answer", value="line\nbreaks & <tags>")
    assert results == ["1.0 minor 3 True line\nbreaks & <tags>"]


async def test_the_page_is_sent_again_only_if_it_has_changed(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await started(plans, GATED)
        await page.reads(f"/runs/{run.id}", "handed out")
        url = f"{page.url}/runs/{run.id}"
        tag = (await page.http.get(url)).headers["etag"]
        assert (await page.http.get(url, headers={"If-None-Match": tag})).status_code == 304
        await reported(run, "a", "a text")
        await page.reads(f"/runs/{run.id}", "Does it read well?")
        assert (await page.http.get(url, headers={"If-None-Match": tag})).status_code == 200
        run.cancel("enough")


async def test_two_pages_and_the_runs_session_share_one_project(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page), served(tmp_path) as other:
        run = await started(plans, GATED)
        await reported(run, "a", "a text")
        await asked(run, "g")
        for each in (page, other):
            await each.reads(f"/runs/{run.id}", "Does it read well?")

        async def approve(which: Literal["page", "other"]) -> None:
            await {"page": page, "other": other}[which].sends(f"/runs/{run.id}/answer", value="approve")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(approve, "page")
            nursery.start_soon(approve, "other")
        await run.result()
        assert (await plans.status(run.id)).state == "succeeded"
        assert "succeeded" in await other.opens(f"/runs/{run.id}")
        await plans.runtime.journal.verify(run.id)


async def test_a_run_whose_process_is_gone_is_shown_and_not_asked(tmp_path: Path) -> None:
    async with served(tmp_path) as page:
        async with project(tmp_path) as (plans, _):
            run = await started(plans, GATED)
            await reported(run, "a", "a text")
            await asked(run, "g")
        html = await page.reads(f"/runs/{run.id}", "interrupted")
        assert "The process of this run is gone" in html
        assert "Have it revised" not in html
        assert "Waits for you" not in await page.opens("/")


async def test_a_run_of_a_plan_within_is_asked_at_its_own_gate(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await started(
            plans,
            """
            steps: [{id: outer, fn: inner}]
            plans:
              inner:
                steps: [{id: g, gate: {question: Go on within?}}]
            """,
        )
        await page.reads(f"/runs/{run.id}", "End the run")
        await page.sends(f"/runs/{run.id}/answer", value="approve")
        await run.result()


async def test_an_unknown_run_and_a_damaged_journal_are_told(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        assert "run nothing: not in this journal" in await page.opens("/runs/nothing")
        assert page.status == 404
        run = await proposed(plans, GATED)
        with sqlite3.connect(tmp_path / "stratum.db") as file:
            file.execute("UPDATE _records SET body = replace(body, 'agent', 'ghost') WHERE run = ?", (run,))
        file.close()
        assert "missing or altered" in await page.opens(f"/runs/{run}")
        assert page.status == 500
