"""A run's limits, raised on the page: at work or stopped, with both figures confirmed, on the record."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tests.engine.plans.plan_fixtures import assigned, reported, started
from tests.engine.report.test_page import seen
from tests.ui.page_fixtures import Visitor, project, proposed, served

from stratum import Budget, BudgetExceeded, await_human, flow, open_runtime
from stratum.contracts.price import Usage
from stratum.contracts.records import LimitRaised, Record
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plans import Plans
from stratum.engine.providers.scripted import scripted

TWO = """
goal: Write twice
budget: {usd: 0.50, ms: 600000, tokens: 100}
steps:
- {id: a, intent: Write it, output: str}
- {id: b, intent: Write more, output: str, depends_on: [a]}
"""


def raises(records: list[Record]) -> list[LimitRaised]:
    return [record for record in records if isinstance(record, LimitRaised)]


async def exhausted(plans: Plans, page: Visitor) -> PlanRun:
    """It stopped, for its first step took more tokens than the plan may."""
    run = await started(plans, TWO)
    assignment = await assigned(run, "a")
    with pytest.raises(BudgetExceeded):
        await run.report("a", "x", ticket=assignment.ticket, usage=Usage(input_tokens=100, output_tokens=60))
        await run.result()
    await page.reads(f"/runs/{run.id}", "exhausted")
    return run


async def test_a_run_that_stopped_at_its_budget_is_given_more_and_resumed(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await exhausted(plans, page)
        assert f'href="/runs/{run.id}/limits"' in page.html
        form = await page.opens(f"/runs/{run.id}/limits")
        assert "At most, tokens (now 100 tokens)" in form and "now $0.5" in form
        question = await page.opens(f"/runs/{run.id}/limits?usd=&seconds=&tokens=1000")
        assert "from 100 tokens to <b>1,000 tokens</b>" in question
        assert "$0.5" not in question
        assert not raises(list(await plans.runtime.journal.read(run.id))), "it is only asked"
        done = await page.sends(f"/runs/{run.id}/limits")
        assert "goes on with them once it is resumed" in done
        assert "160 of 1,000 tokens" in seen(done).text
        assert f"stratum resume {run.id}" in done
        again = await plans.start(run.id)
        await reported(again, "b", "y")
        assert await again.result() == "y"
        (raised,) = raises(list(await plans.runtime.journal.read(run.id)))
        assert raised.limits == {"tokens": 1000}
        assert raised.by
        assert f"raised by {raised.by} to 1,000 tokens" in await page.opens(f"/runs/{run.id}")


async def test_a_plan_at_work_goes_on_with_its_new_limits(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await started(plans, TWO)
        await assigned(run, "a")
        await page.reads(f"/runs/{run.id}", "Raise its limits")
        question = await page.opens(f"/runs/{run.id}/limits?usd=1.25&seconds=1200.5&tokens=")
        assert "from $0.5 to <b>$1.25</b>" in question
        assert "from 600 s to <b>1200.5 s</b>" in question
        done = await page.sends(f"/runs/{run.id}/limits")
        assert "The run was told its new limits." in done
        assert "of $1.250 spent" in done
        assert run.status().left["usd"] == 1_250_000_000_000
        (raised,) = raises(list(await plans.runtime.journal.read(run.id)))
        assert raised.limits == {"usd": 1_250_000_000_000, "ms": 1_200_500}
        run.cancel("enough")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("tokens=99", "99 tokens is not above 100 tokens"),
        ("tokens=100", "is not above"),
        ("tokens=1e3", "1e3 is no number of tokens"),
        ("tokens=-5", "-5 is no number of tokens"),
        ("usd=nan", "nan is no number of US dollars"),
        ("usd=inf", "inf is no number of US dollars"),
        ("usd=1,5", "1,5 is no number of US dollars"),
        ("usd=0.1", "$0.1 is not above $0.5"),
        ("seconds=1e400", "is no number of seconds"),
        ("seconds=0", "0 is no number of seconds"),
        ("usd=&tokens=", "Type at least one new limit."),
        ("euros=7", "Type at least one new limit."),
    ],
)
async def test_what_raises_nothing_is_told_and_kept_in_its_field(tmp_path: Path, query: str, told: str) -> None:
    async with project(tmp_path) as (plans, page):
        run = await exhausted(plans, page)
        answer = await page.opens(f"/runs/{run.id}/limits?{query}")
        assert page.status == 422
        assert told in seen(answer).text
        assert "Raise them" not in answer
        name, _, value = query.partition("&")[0].partition("=")
        assert not value or name == "euros" or f'value="{value}"' in answer


async def test_only_the_figures_that_were_confirmed_in_place_of_those_shown_count(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        run = await exhausted(plans, page)
        await page.opens(f"/runs/{run.id}/limits?tokens=1000")
        asked = dict(page.fields)
        assert "These are the limits now." in await page.sends(f"/runs/{run.id}/limits", before="tokens=1")
        assert page.status == 409
        page.fields = asked | {"form": "0" * 32}
        await page.sends(f"/runs/{run.id}/limits")
        assert page.status == 403
        page.fields = dict(asked)
        await page.sends(f"/runs/{run.id}/limits")
        page.fields = dict(asked)  # sent twice
        assert "is not above" in await page.sends(f"/runs/{run.id}/limits")
        assert page.status == 409
        assert len(raises(list(await plans.runtime.journal.read(run.id)))) == 1


async def test_a_draft_and_what_has_no_limits_have_none_to_raise(tmp_path: Path) -> None:
    async with project(tmp_path) as (plans, page):
        draft = await proposed(plans, TWO)
        run = await started(plans, "steps: [{id: a, intent: Write it, output: str}]")
        await page.reads(f"/runs/{run.id}", "Cancel the run")
        assert "/limits" not in page.html
        for each in (draft, run.id):
            assert "cannot be raised now" in await page.opens(f"/runs/{each}/limits?usd=5")
        run.cancel("enough")
        await page.opens("/runs/nothing/limits")
        assert page.status == 404


@flow(budget=Budget(ms=60_000, usd=1))
async def release() -> str:
    return (await await_human("Which kind?")).value


async def test_a_flow_is_raised_once_it_has_stopped(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as page,
        open_runtime(provider=scripted(), journal=tmp_path / "stratum.db", sinks=[]) as runtime,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.run, release)
            await page.reads("/", "asks: Which kind?")
            run = next(each.run for each in await runtime.journal.runs() if each.name == "release")
            assert "once it has stopped, not while it runs" in await page.opens(f"/runs/{run}")
            nursery.cancel_scope.cancel()
        await page.reads(f"/runs/{run}", "Raise its limits")
        await page.opens(f"/runs/{run}/limits?usd=2")
        await page.sends(f"/runs/{run}/limits")
        assert raises(list(await runtime.journal.read(run)))[0].limits == {"usd": 2 * 10**12}
        assert "of $2.000 spent" in await page.opens(f"/runs/{run}")
