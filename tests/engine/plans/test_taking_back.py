"""Reports that are taken back: whoever made them was stopped, and wants no verdict."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from tests.engine.plans.plan_fixtures import asked, assigned, open_project, started
from trio.testing import MockClock, wait_all_tasks_blocked

from stratum import TraceRecord, Usage
from stratum.contracts.doubts import doubts_of
from stratum.contracts.plans.errors import StaleTicket
from stratum.contracts.plans.status import Verdict
from stratum.contracts.records import CallFinished, TakenBack
from stratum.engine.plans.case import Case, Judged
from stratum.engine.plans.judges import ModelJudge, Opinion, PersonJudge
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plans import Plans
from stratum.engine.providers.scripted import Reply, scripted

PLAN = "steps: [{id: a, intent: Write tests, fn: write, output: int, ensure: {judge: all routes are covered}}]"


class Deliberate:
    """A judge that is asked, and decides when it is told to."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.stopped = 0
        self.decided = trio.Event()
        self._asked, self.asked = trio.open_memory_channel[None](10)

    async def __call__(self, case: Case) -> Judged:
        self.seen.append(case.result)
        self._asked.send_nowait(None)
        try:
            await self.decided.wait()
        except trio.Cancelled:
            self.stopped += 1
            raise
        return Judged(holds=case.result != 1, detail="one is too few")


async def call(
    run: PlanRun, result: object, verdicts: list[Verdict], *, ticket: str, usage: Usage | None = None
) -> None:
    """As the bridge makes it: a call that is stopped takes its report back."""
    try:
        verdicts.append(await run.report("a", result, ticket=ticket, usage=usage, model="m" if usage else ""))
    except trio.Cancelled:
        run.take_back("a", ticket=ticket)
        raise


async def stopped_call(
    run: PlanRun, judge: Deliberate, result: object, *, ticket: str, usage: Usage | None = None
) -> None:
    """Report, and stop the call while the judge deliberates."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: call(run, result, [], ticket=ticket, usage=usage))
        await judge.asked.receive()
        nursery.cancel_scope.cancel()


async def test_a_report_that_is_taken_back_is_judged_no_further_and_uses_no_attempt(tmp_path: Path) -> None:
    judge = Deliberate()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await started(plans, PLAN)
        first = await assigned(run, "a")
        await stopped_call(run, judge, 1, ticket=first.ticket)
        again = await assigned(run, "a")
        assert (judge.seen, judge.stopped) == ([1], 1)
        assert again == first
        judge.decided.set()
        assert (await run.report("a", 2, ticket=first.ticket)).accepted
        assert await run.result() == 2
        (trace,) = await traces(plans, run)
        assert (trace.attempts, trace.output) == (1, 2)


async def test_the_same_report_may_be_made_again(tmp_path: Path) -> None:
    judge = Deliberate()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await started(plans, PLAN)
        ticket = (await assigned(run, "a")).ticket
        await stopped_call(run, judge, 2, ticket=ticket)
        judge.decided.set()
        assert (await run.report("a", 2, ticket=ticket)).accepted  # at once: the step may not yet be handed out again
        assert judge.seen == [2, 2]


async def test_the_verdict_stands_while_another_call_waits_for_it(tmp_path: Path) -> None:
    judge, verdicts = Deliberate(), list[Verdict]()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await started(plans, PLAN)
        ticket = (await assigned(run, "a")).ticket
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: call(run, 2, verdicts, ticket=ticket))
            await judge.asked.receive()
            async with trio.open_nursery() as others:
                others.start_soon(lambda: call(run, 2, [], ticket=ticket))
                await wait_all_tasks_blocked()
                others.cancel_scope.cancel()
            await wait_all_tasks_blocked()
            assert judge.stopped == 0
            judge.decided.set()
        assert [verdict.accepted for verdict in verdicts] == [True]
        assert judge.seen == [2]


async def test_a_verdict_that_is_there_cannot_be_taken_back(tmp_path: Path) -> None:
    judge = Deliberate()
    judge.decided.set()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await started(plans, PLAN)
        ticket = (await assigned(run, "a")).ticket
        rejected = await run.report("a", 1, ticket=ticket)
        run.take_back("a", ticket=ticket)
        run.take_back("a", ticket="a:1:never")
        assert await run.report("a", 1, ticket=ticket) == rejected
        assert rejected.again is not None
        with pytest.raises(StaleTicket, match="with another result"):
            await run.report("a", 2, ticket=ticket)
        run.take_back("a", ticket=rejected.again.ticket)  # nobody has reported it
        assert (await run.report("a", 2, ticket=rejected.again.ticket)).accepted
        assert not [record for record in await plans.runtime.journal.read(run.id) if isinstance(record, TakenBack)]


async def test_a_command_that_verifies_is_killed(tmp_path: Path) -> None:
    held = "{command: [sh, -c, 'exec 3> held; echo begun >&3; sleep 1000']}"
    os.mkfifo(tmp_path / "held")
    async with open_project(tmp_path) as plans:
        run = await started(plans, f"steps: [{{id: a, intent: Write, output: int, ensure: {held}}}]")
        ticket = (await assigned(run, "a")).ticket
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: call(run, 2, [], ticket=ticket))
                file = await trio.to_thread.run_sync((tmp_path / "held").open, abandon_on_cancel=True)
                assert await trio.to_thread.run_sync(file.readline, abandon_on_cancel=True) == "begun\n"
                nursery.cancel_scope.cancel()
            # It ends once nobody has the other end open any more: neither the shell nor what it runs.
            assert await trio.to_thread.run_sync(file.read, abandon_on_cancel=True) == ""
        file.close()
        await assigned(run, "a")


async def test_what_its_report_took_counts_with_the_attempt(tmp_path: Path) -> None:
    judge = Deliberate()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await started(plans, PLAN)
        ticket = (await assigned(run, "a")).ticket
        for tokens in (10, 20):
            await stopped_call(run, judge, 1, ticket=ticket, usage=Usage(input_tokens=tokens, output_tokens=1))
        judge.decided.set()
        usage = Usage(input_tokens=30, output_tokens=1, cached_tokens=5)
        assert (await run.report("a", 2, ticket=ticket, usage=usage)).accepted
        await run.result()
        (trace,) = await traces(plans, run)
        assert (trace.input_tokens, trace.cached_tokens, trace.output_tokens) == (60, 5, 3)
        assert run.envelope is not None
        assert run.envelope.scope.settled.tokens == 63


async def test_a_run_that_is_gone_on_with_waits_for_another_report(tmp_path: Path) -> None:
    judge = Deliberate()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await started(plans, PLAN)
        before = await assigned(run, "a")
        await stopped_call(run, judge, 1, ticket=before.ticket, usage=Usage(input_tokens=10, output_tokens=1))
        await assigned(run, "a")
    judge.decided.set()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await plans.start(run.id)
        assert await assigned(run, "a") == before
        usage = Usage(input_tokens=30, output_tokens=1)
        assert (await run.report("a", 2, ticket=before.ticket, usage=usage)).accepted
        await run.result()
        assert judge.seen == [1, 2]
        (trace,) = await traces(plans, run)
        assert (trace.attempts, trace.input_tokens) == (1, 40)


async def test_a_report_that_nobody_took_back_is_judged_when_the_run_goes_on(tmp_path: Path) -> None:
    judge = Deliberate()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await started(plans, PLAN)
        ticket = (await assigned(run, "a")).ticket
        with trio.CancelScope() as stop:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: run.report("a", 2, ticket=ticket))
                await judge.asked.receive()
                stop.cancel()
    judge.decided.set()
    async with open_project(tmp_path, judge=judge) as plans:
        run = await plans.start(run.id)
        assert await run.result() == 2
        assert judge.seen == [2, 2]


async def test_what_a_model_was_asked_meanwhile_is_in_doubt(tmp_path: Path, autojump_clock: MockClock) -> None:
    slow = Reply(value=Opinion(holds=True, why="it is"), delay_s=60)
    async with open_project(tmp_path, provider=scripted(slow), judge=ModelJudge(), journal=None) as plans:
        run = await started(plans, PLAN)
        ticket = (await assigned(run, "a")).ticket
        with trio.move_on_after(5):
            await call(run, 2, [], ticket=ticket)
        await assigned(run, "a")
        (doubt,) = doubts_of(await plans.runtime.journal.read(run.id), alive=False)
        assert doubt.call.startswith("a")


async def test_a_person_who_was_to_judge_is_asked_no_more(tmp_path: Path) -> None:
    async with open_project(tmp_path, judge=PersonJudge()) as plans:
        run = await started(plans, PLAN)
        ticket = (await assigned(run, "a")).ticket
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: call(run, 1, [], ticket=ticket))
            await asked(run, "a")
            nursery.cancel_scope.cancel()
        await assigned(run, "a")
        assert run.status().questions == ()
        verdicts: list[Verdict] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: call(run, 2, verdicts, ticket=ticket))
            await asked(run, "a")
            run.answer("a", "approve", by="ada")
        assert verdicts[0].accepted
        assert await run.result() == 2


async def traces(plans: Plans, run: PlanRun) -> list[TraceRecord]:
    """Of what was done to its end."""
    records = await plans.runtime.journal.read(run.id)
    return [record.trace for record in records if isinstance(record, CallFinished) and record.outcome != "cancelled"]
