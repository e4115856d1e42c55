"""A hold: nothing of a project is sent, and nothing starts, in any session, until a person lifts it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from stratum import Budget, OnHold, Runtime, compute, flow, infer, open_runtime
from stratum.actors.hold import Hold, hold_path, lift_hold, place_hold, read_hold
from stratum.contracts.records import Released, RunStarted
from stratum.engine.providers.protocol import Answer
from stratum.engine.providers.scripted import Reply, Scripted, scripted
from stratum.plans import Approvals, Functions, open_plans, read_plan

HOLD = Hold(by="ada", since="2026-11-27T10:00:00+00:00", reason="the key has leaked")
TOLD = r"the project is on hold since 2026-11-27T10:00:00\+00:00, by ada: the key has leaked; `stratum hold --lift` lifts it"


@infer(intent="Say a word", model=["gpt-4o", "gpt-4.1"], max_output_tokens=100)
def say(about: str) -> str: ...


@compute(inline=True)
def shout(word: str) -> str:
    return word.upper()


@flow
async def twice(about: str) -> list[str]:
    return [await say(about), await say(about)]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "stratum.db"


@asynccontextmanager
async def opened(journal: Path | None, provider: Scripted | None = None) -> AsyncGenerator[Runtime]:
    async with open_runtime(provider=provider or scripted(otherwise="hi"), journal=journal) as runtime:
        yield runtime


async def test_on_hold_nothing_starts_in_any_session_until_it_is_lifted(
    journal: Path, autojump_clock: MockClock
) -> None:
    here, there = scripted(otherwise="hi"), scripted(otherwise="hi")
    async with opened(journal, here) as one, opened(journal, there) as other:
        await one.run(say, "x")
        place_hold(journal, HOLD)
        for runtime in (one, other):
            with pytest.raises(OnHold, match=rf"^say#\d: {TOLD}"):
                await runtime.run(say, "x")
            with pytest.raises(OnHold, match=rf"^twice: {TOLD}"):
                await runtime.run(twice, "x")
            with pytest.raises(OnHold, match=rf"^run abc: {TOLD}"):
                await runtime.resume(twice, "abc")
            assert await runtime.run(shout, "x") == "X"  # which sends nothing
        assert (len(here.requests), len(there.requests)) == (1, 0)
        assert {run.name for run in await one.journal.runs()} == {"session"}
        assert lift_hold(journal) == HOLD
        for runtime in (one, other):
            assert await runtime.run(twice, "x") == ["hi", "hi"]


async def test_a_call_that_is_sent_again_or_waits_finds_the_hold_first(
    journal: Path, autojump_clock: MockClock
) -> None:
    busy = Answer(status=503, headers={}, body=b"")

    def busy_and_then_on_hold(request: object) -> Reply:
        place_hold(journal, HOLD)
        return Reply(value=busy)

    provider = scripted(otherwise=busy_and_then_on_hold)
    async with opened(journal, provider) as runtime:
        with pytest.raises(OnHold):
            await runtime.run(say, "x")
        scope = runtime.place.envelope.scope
        assert len(provider.requests) == 1  # nor was another model asked
        assert scope.in_flight.picousd == 0
        assert scope.in_doubt.picousd > 0


async def test_a_call_that_waits_for_money_finds_the_hold_when_it_could_go(
    journal: Path, autojump_clock: MockClock
) -> None:
    def answered_once_on_hold(request: object) -> Reply:
        place_hold(journal, HOLD)
        return Reply(value="hi", delay_s=5)

    provider = scripted(otherwise=answered_once_on_hold)
    told: list[str] = []
    async with open_runtime(provider=provider, journal=journal, budget=Budget(tokens=700)) as runtime:

        async def ask() -> None:
            try:
                await runtime.run(say, "x")
            except OnHold as error:
                told.append(error.what)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert len(provider.requests) == 1
        assert len(told) == 1
        assert runtime.place.envelope.scope.in_flight.tokens == 0


async def test_a_hold_is_found_by_the_very_next_request_and_what_was_reserved_for_it_is_given_back(
    journal: Path, autojump_clock: MockClock
) -> None:
    provider = scripted(otherwise="hi")
    async with opened(journal, provider) as runtime:
        await runtime.run(say, "x")
        spent = runtime.place.envelope.scope.settled
        place_hold(journal, HOLD)
        with pytest.raises(OnHold):
            await runtime.run(say, "y")
        assert trio.current_time() == 0.0
        scope = runtime.place.envelope.scope
        assert (scope.settled, scope.in_flight.picousd, scope.in_doubt.picousd) == (spent, 0, 0)
        lift_hold(journal)
        assert await runtime.run(say, "y") == "hi"
        (run,) = [run.run for run in await runtime.journal.runs()]
        reasons = [record.reason for record in await runtime.journal.read(run) if isinstance(record, Released)]
    assert len(provider.requests) == 2
    assert reasons == ["on hold"]


async def test_a_flow_at_work_is_refused_its_next_call_and_can_be_gone_on_with(
    journal: Path, autojump_clock: MockClock
) -> None:
    provider = scripted(otherwise="hi")
    placed: list[Hold] = []
    async with opened(journal, provider) as runtime:

        @flow
        async def held_up(about: str) -> list[str]:
            first = await say(about)
            if not placed:
                placed.append(HOLD)
                place_hold(journal, HOLD)
            return [first, await say(about)]

        with pytest.raises(OnHold):
            await runtime.run(held_up, "x")
        (run,) = [run.run for run in await runtime.journal.runs() if run.name == "held_up"]
        lift_hold(journal)
        assert await runtime.resume(held_up, run) == ["hi", "hi"]
    assert len(provider.requests) == 2


async def test_an_approved_plan_does_not_start(journal: Path, tmp_path: Path) -> None:
    plan = read_plan("goal: Shout\nsteps:\n- {id: '1', fn: shout, inputs: {word: x}}\n")
    async with (
        opened(journal) as runtime,
        open_plans(
            runtime,
            functions=Functions([shout]),
            workspace=tmp_path,
            approvals=Approvals(tmp_path, folder=tmp_path / "state"),
        ) as plans,
    ):
        draft = await plans.propose(plan, by="ada")
        plans.approvals.approve(draft.digest, by="ada", how="python")
        place_hold(journal, HOLD)
        with pytest.raises(OnHold, match=f"^run {draft.run}: {TOLD}"):
            await plans.start(draft.run)
        lift_hold(journal)
        run = await plans.start(draft.run)
        assert await run.result() == "X"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"by": 1}', b"\xff\xfe", b"[" * 100_000])
async def test_a_hold_that_cannot_be_read_holds_all_the_same(journal: Path, content: bytes) -> None:
    hold_path(journal).write_bytes(content)
    async with opened(journal) as runtime:
        with pytest.raises(OnHold, match=r"stratum\.db\.hold cannot be read"):
            await runtime.run(say, "x")


async def test_a_folder_in_its_place_holds_too(journal: Path) -> None:
    hold_path(journal).mkdir()
    async with opened(journal) as runtime:
        with pytest.raises(OnHold, match="cannot be read"):
            await runtime.run(say, "x")


async def test_a_journal_in_memory_and_one_beside_it_know_of_no_hold(journal: Path, tmp_path: Path) -> None:
    place_hold(journal, HOLD)
    for other in (None, tmp_path / "other.db"):
        async with opened(other) as runtime:
            assert await runtime.run(say, "x") == "hi"


def test_a_hold_is_the_users_own_file_and_the_last_one_counts(tmp_path: Path) -> None:
    journal = tmp_path / "new" / "stratum.db"
    assert read_hold(hold_path(journal)) is None
    place_hold(journal, HOLD)
    place_hold(journal, Hold(by="grace", since=HOLD.since, reason="again"))
    file = hold_path(journal)
    assert file.stat().st_mode & 0o777 == 0o600
    assert journal.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in journal.parent.iterdir()] == [file.name]
    lifted = lift_hold(journal)
    assert lifted is not None and lifted.by == "grace"
    assert lift_hold(journal) is None


async def test_a_refused_flow_leaves_no_run(journal: Path) -> None:
    place_hold(journal, HOLD)
    async with opened(journal) as runtime:
        with pytest.raises(OnHold):
            await runtime.run(twice, "x")
        records = await runtime.journal.read(runtime.session)
    assert [record.name for record in records if isinstance(record, RunStarted)] == ["session"]
