"""A plan that nobody wants any more, before it has begun: it stays in the journal, and nobody can begin it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.plans.plan_fixtures import open_project, reported, started

from stratum import compute
from stratum.contracts.errors import RunError, UnknownRun
from stratum.contracts.plans.errors import NotApproved
from stratum.contracts.plans.text import read_plan
from stratum.contracts.records import RunFinished
from stratum.engine.plans.plans import Plans

PLAN = "steps: [{id: a, fn: one}]"
CHANGED = "steps: [{id: a, fn: one}, {id: b, fn: one}]"
AGENTS = "steps: [{id: a, fn: think}]"


@compute(inline=True)
def one() -> int:
    return 1


async def draft(plans: Plans, text: str = PLAN) -> str:
    return (await plans.propose(read_plan(text), by="agent")).run


async def test_a_discarded_plan_is_kept_with_who_discarded_it_and_why(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=[one]) as plans:
        run = await draft(plans)
        status = await plans.discard(run, by="ada", because="the wrong\nfile")
        listed = (await plans.runtime.journal.runs())[0]
        last = (await plans.runtime.journal.read(run))[-1]
    assert (status.state, status.error) == ("discarded", "discarded by ada: the wrong\\nfile")
    assert (listed.run, listed.state, listed.ended_at is None) == (run, "discarded", False)
    assert last == RunFinished(state="discarded", error=status.error)


@pytest.mark.parametrize("approved", [False, True])
async def test_a_discarded_plan_is_neither_started_nor_revised_and_says_why(tmp_path: Path, approved: bool) -> None:
    async with open_project(tmp_path, steps=[one]) as plans:
        run = await draft(plans)
        digest = (await plans.status(run)).digest
        if approved:
            plans.approvals.approve(digest, by="ada", how="page")
        await plans.discard(run, by="ada", because="no need")
        plans.approvals.approve(digest, by="ada", how="page")
        for refused in (plans.start(run), plans.revise(run, read_plan(CHANGED), by="agent")):
            with pytest.raises(RunError, match=r"it was discarded by ada: no need; propose the plan anew") as caught:
                await refused
            assert not isinstance(caught.value, NotApproved)
        assert (await plans.status(run)).state == "discarded"
        # Nothing keeps hold of it, and no other is touched.
        other = await draft(plans)
        assert await (await plans.start(other)).result() == 1


async def test_discarding_takes_the_approval_back_and_only_that_one(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=[one]) as plans:
        first, second = await draft(plans), await draft(plans, CHANGED)
        for run in (first, second):
            plans.approvals.approve((await plans.status(run)).digest, by="ada", how="page")
        await plans.discard(first, by="ada")
        assert (await plans.status(first)).error == "discarded by ada"
        assert (await plans.status(second)).state == "approved"
        again = await draft(plans)
        with pytest.raises(NotApproved):
            await plans.start(again)


async def test_a_plan_is_discarded_once(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=[one]) as plans:
        run = await draft(plans)
        await plans.discard(run, by="ada")
        with pytest.raises(RunError, match="it was discarded by ada; "):
            await plans.discard(run, by="bob")
        assert (await plans.status(run)).error == "discarded by ada"


async def test_what_has_begun_is_not_discarded(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, AGENTS)
        async with open_project(tmp_path) as elsewhere:
            for each in (plans, elsewhere):
                with pytest.raises(
                    RunError, match=rf"it has begun; if it is at work, `stratum cancel {run.id}` stops it"
                ):
                    await each.discard(run.id, by="ada")
        await reported(run, "a", "x")
        assert await run.result() == "x"
        with pytest.raises(RunError, match=r"it has begun, and is over \(succeeded\)"):
            await plans.discard(run.id, by="ada")


async def test_only_plans_are_discarded(tmp_path: Path) -> None:
    async with open_project(tmp_path, steps=[one]) as plans:
        assert await plans.runtime.run(one) == 1
        (session,) = await plans.runtime.journal.runs()
        with pytest.raises(RunError, match="not a plan's"):
            await plans.discard(session.run, by="ada")
        with pytest.raises(UnknownRun):
            await plans.discard("none", by="ada")
