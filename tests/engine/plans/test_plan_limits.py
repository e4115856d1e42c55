"""What limits a plan's run: its money, its time while people are waited for, how much is done at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trio
from tests.engine.plans.plan_fixtures import asked, assigned, open_project, reported, standing, started
from trio.testing import MockClock

from stratum import Budget, BudgetExceeded
from stratum.contracts.plans.errors import RunCancelled
from stratum.contracts.price import Usage

TWO = """
budget: {usd: 0.01}
steps:
- {id: a, fn: think}
- {id: b, fn: think, depends_on: [a]}
"""
LARGE = Usage(input_tokens=10_000_000, output_tokens=10)


async def test_what_an_agent_used_beyond_the_budget_ends_the_run_until_somebody_raises_it(tmp_path: Path) -> None:
    """CASES H22."""
    async with open_project(tmp_path) as plans:
        run = await started(plans, TWO)
        verdict = await reported(run, "a", "x", usage=LARGE, model="gpt-5-mini")
        assert verdict.accepted, "what was paid for is kept"
        with pytest.raises(BudgetExceeded, match="an agent's step took"):
            await run.result()
        assert (await plans.status(run.id)).state == "exhausted"
    async with open_project(tmp_path) as plans:
        with pytest.raises(BudgetExceeded), trio.fail_after(60):
            await (await plans.start(run.id)).result()
        status = await plans.status(run.id)
        assert (status.state, standing(status)) == ("exhausted", {"a": "done", "b": "cancelled"})
        again = await plans.start(run.id, raised=Budget(usd=30))
        await reported(again, "b", "y")
        assert await again.result() == "y"
        assert (await plans.status(run.id)).settled_picousd == status.settled_picousd > 0


async def test_no_more_is_handed_out_at_once_than_the_plan_allows(tmp_path: Path) -> None:
    """CASES H23."""
    steps = "".join(f"- {{id: s{number}, fn: think}}\n" for number in range(8))
    async with open_project(tmp_path) as plans:
        run = await started(plans, f"max_in_flight: 2\noutput: $.steps.s3.output\nsteps:\n{steps}")
        for done in range(0, 8, 2):
            first, second = await assigned(run, f"s{done}"), await assigned(run, f"s{done + 1}")
            at_work = [name for name, state in standing(run.status()).items() if state not in ("waiting", "done")]
            assert at_work == [first.step, second.step]
            for each in (first, second):
                await run.report(each.step, each.step.upper(), ticket=each.ticket)
        assert await run.result() == "S3"


INNER_GATE = """
budget: {ms: 100000}
steps:
- {id: s, fn: inner}
- {id: z, fn: think}
plans:
  inner:
    budget: {ms: 10000}
    steps:
    - {id: g, gate: {question: Ship it?}}
    - {id: a, fn: think, depends_on: [g]}
"""


async def test_an_inner_plan_that_waits_for_a_person_uses_the_outer_budget_only(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """CASES D11."""
    async with open_project(tmp_path, journal=None) as plans:
        run = await started(plans, INNER_GATE)
        await asked(run, "s/g")
        await assigned(run, "z")
        await trio.sleep(20)  # more than the inner plan has; in the outer one somebody is at work
        assert run.status().left["ms"] == 80_000
        run.answer("s/g", "approve", by="ada")
        await reported(run, "z", 2)
        await assigned(run, "s/a")
        begun_at = trio.current_time()
        with pytest.raises(Exception, match="10,000 ms of 10,000 ms"):
            await run.result()
        assert trio.current_time() - begun_at == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("on_timeout", ["kill", "approve"])
async def test_a_gate_that_nobody_answers_decides_by_itself_at_its_deadline(
    on_timeout: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """CASES H28."""
    text = f"""
    steps:
    - {{id: g, gate: {{question: Ship it?, timeout_s: 30, on_timeout: {on_timeout}}}}}
    - {{id: b, fn: think, depends_on: [g]}}
    """
    async with open_project(tmp_path, journal=None) as plans:
        run = await started(plans, text)
        await asked(run, "g")
        begun = trio.current_time()
        if on_timeout == "kill":
            with pytest.raises(RunCancelled, match="timeout ended it at gate g"):
                await run.result()
        else:
            await reported(run, "b", "shipped")
            assert await run.result() == "shipped"
        assert trio.current_time() - begun == pytest.approx(30, abs=1)


async def test_a_gates_deadline_goes_on_while_nobody_runs_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CASES H28."""
    text = """
    steps:
    - {id: g, gate: {question: Ship it?, timeout_s: 3600}}
    - {id: b, fn: think, depends_on: [g]}
    """
    async with open_project(tmp_path) as plans:
        run = await started(plans, text)
        question = await asked(run, "g")

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # it is asked for UTC only
            return datetime.fromisoformat(question.answer_by) + timedelta(seconds=1)

    monkeypatch.setattr("stratum.engine.people.answer_by.datetime", Later)
    async with open_project(tmp_path) as plans:
        again = await plans.start(run.id)
        with pytest.raises(RunCancelled, match="timeout ended it at gate g"), trio.fail_after(60):
            await again.result()
        assert standing(await plans.status(run.id)) == {"g": "cancelled", "b": "blocked"}


async def test_an_empty_folder_called_git_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    async with open_project(tmp_path) as plans:
        run = await started(plans, "steps:\n- {id: a, fn: think}")
        assert (await reported(run, "a", "x")).accepted
        assert await run.result() == "x"
