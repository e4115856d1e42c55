"""Steps that only compute, on the event loop: recorded many at a time, and yet done again, cut short and resumed like all others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio
from tests.engine.plans.plan_fixtures import open_project, reported, standing, started
from trio.testing import MockClock

from stratum import BudgetExceeded, compute, infer
from stratum.contracts.plans.errors import PlanFailed, RunCancelled
from stratum.contracts.records import CallFinished, CallStarted, StepsDone
from stratum.engine.plans.plan_log import SEGMENT_STEPS
from stratum.engine.providers.scripted import scripted
from stratum.engine.step import Step

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


async def test_they_have_no_row_of_their_own_among_the_steps_and_one_that_is_judged_has(tmp_path: Path) -> None:
    """As docs/journal.md says of the view."""
    async with open_project(tmp_path, steps=[tick]) as plans:
        run = await started(plans, "steps: [{id: a, fn: tick}, {id: b, fn: tick, ensure: result > 0}]")
        await run.result()
    with closing(sqlite3.connect(tmp_path / "stratum.db")) as journal:
        assert journal.execute("SELECT step_id FROM steps").fetchall() == [("b",)]
        ((body,),) = journal.execute("SELECT body FROM records WHERE kind = 'steps_done'").fetchall()
    assert '"a"' in body


@infer(intent="Say a number", max_output_tokens=100, retries=0)
def say() -> int: ...


@compute(inline=True)
async def ask_after(seconds: float) -> int:
    calls.append("ask")
    await trio.sleep(seconds)
    return await say() + 1


@compute(inline=True)
async def nap(seconds: float) -> float:
    calls.append(f"nap {seconds}")
    await trio.sleep(seconds)
    return seconds


@compute(inline=True)
async def stumble(seconds: float) -> float:
    await trio.sleep(seconds)
    raise LookupError("nothing there")


async def test_one_that_is_awaited_runs_beside_others_and_is_recorded_with_them(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    text = "steps: [{id: a, fn: nap, inputs: {seconds: 2.0}}, {id: b, fn: nap, inputs: {seconds: 3.0}}]"
    async with open_project(tmp_path, steps=[nap], journal=None) as plans:
        run = await started(plans, text)
        await trio.sleep(1)
        assert standing(run.status()) == {"a": "running", "b": "running"}
        assert await run.result() == 3.0
        assert trio.current_time() == 3.0
        records = await plans.runtime.journal.read(run.id)
    assert not [record for record in records if isinstance(record, CallStarted)]
    done = [done for record in records if isinstance(record, StepsDone) for done in record.steps]
    assert [(each.step, each.duration_us) for each in done] == [("a", 2_000_000), ("b", 3_000_000)]


async def test_one_that_calls_a_model_after_all_is_recorded_before_the_call(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    text = "steps: [{id: a, fn: ask_after, inputs: {seconds: 2.0}}]"
    async with open_project(tmp_path, steps=[ask_after], provider=scripted(41), journal=None) as plans:
        run = await started(plans, text)
        assert await run.result() == 42
        records = await plans.runtime.journal.read(run.id)
        assert standing(await plans.status(run.id)) == {"a": "done"}
    begun = [(record.call, record.parent) for record in records if isinstance(record, CallStarted)]
    assert begun == [("a", ""), ("a/say#1", "a")]
    traces = [record.trace for record in records if isinstance(record, CallFinished)]
    assert [(trace.step_id, trace.duration_ms) for trace in traces] == [("a/say#1", 0), ("a", 2000)]
    assert not [record for record in records if isinstance(record, StepsDone)]


async def test_what_one_paid_for_before_its_session_ended_is_not_paid_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    text = """
        steps:
        - {id: a, fn: ask_after, inputs: {seconds: 1.0}}
        - {id: b, fn: nap, inputs: {seconds: 5.0}, depends_on: [a]}
        - {id: c, fn: nap, inputs: {seconds: 6.0}}
    """
    async with open_project(tmp_path, steps=[ask_after, nap], provider=scripted(41)) as plans:
        run = await started(plans, text)
        while standing(run.status()).get("b") != "running":
            await run.changed(run.version)
    silent = scripted()
    async with open_project(tmp_path, steps=[ask_after, nap], provider=silent) as plans:
        run = await plans.start(run.id)
        assert await run.result() == 6.0
        assert standing(await plans.status(run.id)) == {"a": "done", "b": "done", "c": "done"}
    assert calls.count("ask") == 1
    assert silent.requests == []


async def test_one_that_fails_stops_the_others_and_its_trace_has_its_time(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    text = "steps: [{id: a, fn: stumble, inputs: {seconds: 2.0}}, {id: b, fn: nap, inputs: {seconds: 30.0}}]"
    async with open_project(tmp_path, steps=[stumble, nap], journal=None) as plans:
        run = await started(plans, text)
        with pytest.raises(PlanFailed, match="nothing there"):
            await run.result()
        assert trio.current_time() == 2.0
        records = await plans.runtime.journal.read(run.id)
        assert standing(await plans.status(run.id)) == {"a": "failed", "b": "cancelled"}
    traces = [record.trace for record in records if isinstance(record, CallFinished)]
    assert [(trace.step_id, trace.outcome, trace.duration_ms) for trace in traces] == [
        ("a", "failed", 2000),
        ("b", "cancelled", 2000),
    ]


async def test_the_plans_time_limit_ends_one_that_is_awaited(tmp_path: Path, autojump_clock: MockClock) -> None:
    text = "budget: {ms: 1500}\nsteps: [{id: a, fn: nap, inputs: {seconds: 30.0}}]"
    async with open_project(tmp_path, steps=[nap], journal=None) as plans:
        run = await started(plans, text)
        with pytest.raises(BudgetExceeded) as caught:
            await run.result()
        assert trio.current_time() == 1.5
    assert caught.value.remaining == ["a"]


@pytest.mark.parametrize("fails", [False, True])
async def test_the_plans_time_limit_ends_one_whose_last_step_outran_it_without_waiting(
    tmp_path: Path, autojump_clock: MockClock, fails: bool
) -> None:
    @compute(inline=True)
    def linger() -> int:
        autojump_clock.jump(2.0)
        if fails:
            raise LookupError("nothing there")
        return 1

    async with open_project(tmp_path, steps=[linger], journal=None) as plans:
        run = await started(plans, "budget: {ms: 1500}\nsteps: [{id: a, fn: linger}]")
        with pytest.raises(BudgetExceeded) as caught:
            await run.result()
        assert (await plans.status(run.id)).state == "exhausted"
    assert caught.value.resource == "ms"
    assert caught.value.remaining == []


async def test_a_plan_that_its_last_step_has_stopped_is_cancelled(tmp_path: Path) -> None:
    @compute(inline=True)
    def stop() -> None:
        run.cancel("enough")

    async with open_project(tmp_path, steps=[stop], journal=None) as plans:
        run = await started(plans, "steps: [{id: a, fn: stop}]")
        with pytest.raises(RunCancelled, match="enough"):
            await run.result()
        assert standing(await plans.status(run.id)) == {"a": "done"}


@pytest.mark.parametrize("awaited", [False, True])
async def test_those_that_outrun_the_disk_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, awaited: bool
) -> None:
    monkeypatch.setattr("stratum.actors.journal.BACKLOG_BYTES", 0)
    behind: list[bool] = []

    @compute(inline=True)
    def look_back() -> None:
        behind.append(plans.runtime.journal.behind)

    @compute(inline=True)
    async def look_back_awaited() -> None:
        behind.append(plans.runtime.journal.behind)

    look: Step[[], None] = look_back_awaited if awaited else look_back
    steps = "\n".join(f"- {{id: s{number}, fn: {look.signature.name}}}" for number in range(3 * SEGMENT_STEPS))
    async with open_project(tmp_path, steps=[look]) as plans:
        run = await started(plans, f"steps:\n{steps}")
        await run.result()
    assert len(behind) == 3 * SEGMENT_STEPS
    assert not any(behind[SEGMENT_STEPS:])


@pytest.mark.parametrize(("length", "done"), [(3000, 20), (20_000, 0)])
async def test_results_that_one_record_cannot_hold_together_are_kept_in_several(
    length: int, done: int, tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too large by itself fails the plan."""

    @compute(inline=True)
    async def write() -> str:
        await trio.sleep(1)
        return "x" * length

    monkeypatch.setattr("stratum.actors.journal_store.MAX_BODY_BYTES", 10_000)
    steps = ", ".join(f"{{id: s{number}, fn: write}}" for number in range(20))
    async with open_project(tmp_path, steps=[write]) as plans:
        run = await started(plans, f"steps: [{steps}]")
        if done:
            assert await run.result() == "x" * length
        else:
            with pytest.raises(ValueError, match="a steps_done record of 20,.* bytes; at most 10,000 are kept"):
                await run.result()
        records = await plans.runtime.journal.read(run.id)
    assert sum(len(record.steps) for record in records if isinstance(record, StepsDone)) == done
