"""What stops whom when a budget, a journal or a runtime ends: wherever the calls were made from, and whatever users catch."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    BudgetOverrun,
    JournalUnavailable,
    Runtime,
    compute,
    contract,
    flow,
    infer,
    open_runtime,
)
from stratum.actors.journal import open_journal
from stratum.actors.journal_store import Entry, Store
from stratum.contracts.errors import RunError
from stratum.contracts.messages import CancelRun
from stratum.contracts.plans.errors import RunCancelled
from stratum.contracts.price import Usage
from stratum.contracts.records import CallStarted, LeftInDoubt, RunFinished
from stratum.engine.dialects.protocol import Received
from stratum.engine.place import current_place
from stratum.engine.providers.protocol import Answer
from stratum.engine.providers.scripted import Reply, scripted

TOO_MUCH = "word " * 60_000
"""Its input alone costs more than the flows here may."""


@contract
class Word:
    text: str


@infer(intent="Say a word", max_output_tokens=1000)
def say(about: str) -> Word: ...


@flow
async def once(about: str) -> Word:
    return await say(about)


def full(received: Received, *, delay_s: float = 0) -> Reply:
    """0.82 cents at most: all of the cap."""
    usage = Usage(input_tokens=100, output_tokens=received.max_output_tokens)
    return Reply(value=Word(text="hi"), usage=usage, delay_s=delay_s)


async def test_an_error_raised_while_being_stopped_is_the_cause_of_budget_exceeded(autojump_clock: MockClock) -> None:
    @flow(budget=Budget(ms=1000))
    async def untidy(nursed: bool) -> str:
        async def clean_up_badly() -> None:
            try:
                await trio.sleep(10)
            finally:
                raise ValueError("the file was gone")

        if not nursed:
            await clean_up_badly()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clean_up_badly)
            nursery.start_soon(trio.sleep, 10)
        return "never"

    async with open_runtime(provider=scripted(), journal=None):
        with pytest.raises(BudgetExceeded) as caught:
            await untidy(False)
        assert isinstance(caught.value.__cause__, ValueError)
        with pytest.raises(BudgetExceeded) as caught:
            await untidy(True)
        assert isinstance(caught.value.__cause__, ExceptionGroup)


async def test_an_error_of_the_flow_itself_passes_unchanged() -> None:
    @flow(budget=Budget(ms=1000))
    async def broken(text: str) -> str:
        raise LookupError(text)

    async with open_runtime(provider=scripted(), journal=None):
        with pytest.raises(LookupError, match="gone"):
            await broken("gone")


async def test_users_who_catch_every_exception_still_pay_for_nothing_more(autojump_clock: MockClock) -> None:
    """The refusal comes as a cancellation, which `except Exception` does not see."""

    @flow(budget=Budget(usd=0.0085))
    async def stubborn(times: int) -> int:
        failures = 0
        for number in range(times):
            try:
                await say(f"{number}")
            # stratum: allow[swallowed-stop] what must not help
            except Exception:  # noqa: BLE001
                failures += 1
        return failures

    provider = scripted(otherwise=full)
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(BudgetExceeded):
            await stubborn(50)
    assert len(provider.requests) == 1


async def test_even_swallowing_the_cancellation_buys_nothing(autojump_clock: MockClock) -> None:
    @flow(budget=Budget(usd=0.0085))
    async def deaf(times: int) -> int:
        for number in range(times):
            try:
                await say(f"{number}")
            # stratum: allow[swallowed-stop] what must not help
            except BaseException:  # noqa: BLE001, S110
                pass
        return times

    provider = scripted(otherwise=full)
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(BudgetExceeded):
            await deaf(50)
    assert len(provider.requests) == 1


async def test_a_refused_call_behind_a_shield_raises_instead_of_waiting_for_ever(autojump_clock: MockClock) -> None:
    @flow(budget=Budget(usd=0.0085))
    async def shielded(text: str) -> str:
        with trio.CancelScope(shield=True):
            await say(text)
            await say(text)
        return "never"

    async with open_runtime(provider=scripted(otherwise=full), journal=None):
        with trio.fail_after(60), pytest.raises(BudgetExceeded) as caught:
            await shielded("x")
    assert caught.value.step == "shielded"


async def test_under_drain_a_refused_call_holds_no_slot_that_others_need(autojump_clock: MockClock) -> None:
    """Two calls were throttled to one at a time, and one that cannot be afforded comes: all three are refused, in turn."""
    asked: list[str] = []

    def throttling(received: Received) -> Reply:
        asked.append(received.inputs)
        if asked.count(received.inputs) == 1:
            return Reply(value=Answer(status=429, headers={"retry-after": "5"}, body=b"{}"))
        return full(received, delay_s=1)

    @flow(budget=Budget(usd=0.1, on_exhaustion="drain"))
    async def drained(text: str) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, "a")
            nursery.start_soon(say, "b")
            await trio.sleep(1)
            nursery.start_soon(say, text)

    async with open_runtime(provider=scripted(otherwise=throttling), journal=None):
        with trio.fail_after(600), pytest.raises(BudgetExceeded) as caught:
            await drained(TOO_MUCH)
    assert sorted(caught.value.remaining) == ["say#1", "say#2", "say#3"]


async def test_a_session_out_of_money_stops_flows_in_tasks_outside_of_it(autojump_clock: MockClock) -> None:
    """A service answers requests in tasks that its runtime, opened somewhere else, does not enclose."""
    outcomes: list[object] = []
    provider = scripted(otherwise=partial(full, delay_s=1))

    async def request(runtime: Runtime, about: str) -> None:
        try:
            outcomes.append(await runtime.run(once, about))
        except BudgetExceeded as error:
            outcomes.append(error.step)

    opened: list[Runtime] = []
    async with trio.open_nursery() as service:
        with pytest.raises(BudgetExceeded):
            async with open_runtime(provider=provider, journal=None, budget=Budget(usd=0.017)) as runtime:
                opened.append(runtime)
                for about in ("a", "b", TOO_MUCH):
                    service.start_soon(request, runtime, about)
                await trio.sleep_forever()
        await request(opened[0], "afterwards")
    assert outcomes == ["session"] * 4
    assert trio.current_time() == 0
    assert len(provider.requests) <= 2


async def test_a_sessions_time_limit_reaches_them_too(autojump_clock: MockClock) -> None:
    failures: list[BudgetExceeded] = []

    async def request(runtime: Runtime) -> None:
        with pytest.raises(BudgetExceeded) as caught:
            await runtime.run(once, "x")
        failures.append(caught.value)

    async with trio.open_nursery() as service:
        with pytest.raises(BudgetExceeded):
            async with open_runtime(
                provider=scripted(otherwise=partial(full, delay_s=100)), journal=None, budget=Budget(ms=2000)
            ) as runtime:
                service.start_soon(request, runtime)
                await trio.sleep_forever()
    assert [(error.resource, error.step) for error in failures] == [("ms", "session")]
    assert trio.current_time() == 2


async def test_closing_a_runtime_stops_what_still_runs_in_it(tmp_path: Path) -> None:
    """And records it: nothing is written behind a closed journal, and nobody waits for one."""
    provider = scripted(otherwise=Reply(value=Word(text="late"), delay_s=60))
    failures: list[RunError] = []

    async def request(runtime: Runtime) -> None:
        with pytest.raises(RunError, match="closed while this was running") as caught:
            await runtime.run(once, "x")
        failures.append(caught.value)

    async with trio.open_nursery() as service:
        async with open_runtime(provider=provider, journal=tmp_path / "stratum.db") as runtime:
            service.start_soon(request, runtime)
            while not provider.in_flight:
                await trio.sleep(0.001)
        assert provider.in_flight == 0
        with trio.fail_after(60):
            await request(runtime)
    assert len(failures) == 2
    async with open_runtime(provider=provider, journal=tmp_path / "stratum.db") as runtime:
        states = {run.name: run.state for run in await runtime.journal.runs() if run.session != runtime.session}
    assert states == {"once": "cancelled", "session": "succeeded"}


async def test_a_call_in_a_task_that_outlives_its_flow_is_refused(autojump_clock: MockClock) -> None:
    failures: list[RunError] = []

    async def later() -> None:
        await trio.sleep(1)
        with pytest.raises(RunError, match="has ended") as caught:
            await say("later")
        failures.append(caught.value)

    provider = scripted(otherwise=full)
    async with open_runtime(provider=provider, journal=None), trio.open_nursery() as outside:

        @flow
        async def careless(text: str) -> str:
            outside.start_soon(later)
            return text

        assert await careless("done") == "done"
    assert len(failures) == 1
    assert provider.requests == []


async def test_a_flow_that_leaves_calls_behind_fails_and_says_so(autojump_clock: MockClock) -> None:
    """Its budget could not bound them."""

    async def left_behind() -> None:
        with pytest.raises(RunError, match="has ended"):
            await say("slow")

    async with open_runtime(provider=scripted(otherwise=partial(full, delay_s=9)), journal=None) as runtime:
        async with trio.open_nursery() as outside:

            @flow
            async def careless(text: str) -> str:
                outside.start_soon(left_behind)
                await trio.sleep(1)
                return text

            with pytest.raises(RunError, match="careless ended while calls made in it go on"):
                await careless("done")
        (run,) = [run for run in await runtime.journal.runs() if run.name == "careless"]
        assert run.state == "failed"


async def test_an_answer_that_broke_its_own_calls_budget_stays_the_recorded_result(tmp_path: Path) -> None:
    """It was paid for: a resumed run has it, and does not pay again."""
    journal = tmp_path / "stratum.db"
    capped = infer(intent="Say a word", budget=Budget(usd=0.02), max_output_tokens=100)(say.function)
    overruns: list[BudgetOverrun] = []

    @flow
    async def overrun(text: str) -> str:
        try:
            word = await capped(text)
        except BudgetOverrun as error:
            overruns.append(error)
            raise KeyboardInterrupt from None
        return word.text

    dear = Reply(value=Word(text="dear"), usage=Usage(input_tokens=100, output_tokens=5000))
    with pytest.raises(KeyboardInterrupt):
        async with open_runtime(provider=scripted(dear), journal=journal):
            await overrun("x")
    provider = scripted()
    async with open_runtime(provider=provider, journal=journal) as runtime:
        run = next(run.run for run in await runtime.journal.runs() if run.name == "overrun")
        assert await overrun.resume(run, runtime.place) == "dear"
    assert provider.requests == []
    assert [done.result for done in overruns[0].completed] == [Word(text="dear")]


async def test_a_finished_run_can_be_asked_for_its_result_any_number_of_times(tmp_path: Path) -> None:
    async with open_runtime(provider=scripted(otherwise=full), journal=tmp_path / "stratum.db") as runtime:
        await once("x")
        run = next(run.run for run in await runtime.journal.runs() if run.name == "once")
        for _ in range(3):
            assert await once.resume(run, runtime.place) == Word(text="hi")


async def test_a_step_called_by_sync_in_a_thread_of_another_is_refused() -> None:
    """It would run in a loop of its own, on the ledger and the journal of this one."""

    @compute
    def sneaky(text: str) -> str:
        return say.sync(text).text  # stratum: allow[unbudgeted-call] must be refused

    provider = scripted(otherwise=full)
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(RuntimeError, match="in a thread of a running step"):
            await sneaky("x")
    assert provider.requests == []


async def test_a_journal_that_dies_stops_everything_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never run unrecorded: no more is sent than what the last commit had allowed."""
    written: list[int] = []
    write = Store.write

    def write_until_full(self: Store, entries: Sequence[Entry]) -> int:
        written.append(len(entries))
        if len(written) > 4:
            raise sqlite3.OperationalError("database or disk is full")
        return write(self, entries)

    monkeypatch.setattr(Store, "write", write_until_full)
    provider = scripted(otherwise=partial(full, delay_s=0.01))

    @flow
    async def busy(tasks: int) -> None:
        async def many() -> None:
            for number in range(100):
                await say(f"{number}")

        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(many)

    with trio.fail_after(60), pytest.raises(JournalUnavailable, match="disk is full"):
        async with open_runtime(provider=provider, journal=tmp_path / "stratum.db"):
            await busy(3)
    assert provider.in_flight == 0
    assert len(provider.requests) < 20


async def test_a_session_that_ended_well_is_finished_in_the_journal(tmp_path: Path) -> None:
    async with open_runtime(provider=scripted(otherwise=full), journal=tmp_path / "stratum.db") as first:
        await say("x")
    async with open_runtime(provider=scripted(), journal=tmp_path / "stratum.db") as runtime:
        records = await runtime.journal.read(first.session)
    assert isinstance(records[-1], RunFinished)
    assert records[-1].state == "succeeded"


@infer(intent="Is this a good word?", max_output_tokens=1000)
def is_good(text: str) -> bool: ...


async def judged_good(word: Word) -> bool:
    await trio.sleep(5)
    return await is_good(word.text)


@infer(intent="Say a good word", ensure=judged_good, retries=5, max_output_tokens=1000)
def say_well(about: str) -> Word: ...


def judging(received: Received) -> Reply:
    """Everything costs 0.82 cents, and nothing is good."""
    said = full(received)
    return said if received.tool != "is_good" else Reply(value=False, usage=said.usage)


async def test_a_judge_in_a_condition_draws_from_the_budget_of_the_call_it_judges(autojump_clock: MockClock) -> None:
    """CASES D12."""
    budgeted = infer(
        intent="Say a good word", ensure=judged_good, retries=5, budget=Budget(usd=0.0167), max_output_tokens=1000
    )(say.function)
    provider = scripted(otherwise=judging)
    async with open_runtime(provider=provider, journal=None) as runtime:
        with pytest.raises(BudgetExceeded) as caught:
            await budgeted("x")
        records = await runtime.journal.read(runtime.session)
    assert caught.value.step == "say#1"
    assert [received.tool for received in provider.received] == ["say", "is_good"]
    assert {record.call: record.parent for record in records if isinstance(record, CallStarted)} == {
        "say#1": "",
        "say#1/is_good#1": "say#1",
    }


async def test_drain_does_not_wait_for_a_call_whose_judge_cannot_be_afforded(autojump_clock: MockClock) -> None:
    """The call waits for its judge, the judge to be stopped: neither may hold up the other's end."""

    @flow(budget=Budget(usd=0.1, on_exhaustion="drain"))
    async def drained(text: str) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_well, "x")
            nursery.start_soon(say_well, "y")
            await trio.sleep(1)
            nursery.start_soon(say, text)

    provider = scripted(otherwise=judging)
    async with open_runtime(provider=provider, journal=None):
        with trio.fail_after(60), pytest.raises(BudgetExceeded):
            await drained(TOO_MUCH)
    assert trio.current_time() == 5
    assert [received.tool for received in provider.received] == ["say_well", "say_well"]


async def test_a_precondition_that_hangs_is_stopped_by_the_calls_own_deadline(autojump_clock: MockClock) -> None:
    async def never(about: str) -> bool:
        await trio.sleep_forever()
        return True

    patient = infer(intent="Say a word", given=never, budget=Budget(ms=500))(say.function)
    async with open_runtime(provider=scripted(), journal=None):
        with pytest.raises(BudgetExceeded) as caught:
            await patient("x")
    assert (caught.value.resource, caught.value.step) == ("ms", "say#1")
    assert trio.current_time() == 0.5


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [Unspeakable(), ValueError("\ud800")])
async def test_a_flow_that_fails_with_an_error_that_cannot_be_written_fails_with_it(error: Exception) -> None:
    @flow
    async def failing(text: str) -> str:
        raise error

    async with open_runtime(provider=scripted(), journal=None) as runtime:
        with pytest.raises(type(error)) as caught:
            await failing("x")
        (run,) = [run for run in await runtime.journal.runs() if run.name == "failing"]
    assert caught.value is error
    assert (run.state, run.error[:10]) == ("failed", type(error).__name__[:10])


async def test_what_is_called_where_all_is_cancelled_begins_nothing(autojump_clock: MockClock) -> None:
    """Of a thousand calls under a budget that affords none, the first finds out."""

    @flow(budget=Budget(usd=0.000001))
    async def many(count: int) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(say, f"{number}")

    provider = scripted()
    async with open_runtime(provider=provider, journal=None) as runtime:
        with trio.CancelScope() as scope:
            scope.cancel()
            await say("nobody")
        with pytest.raises(BudgetExceeded) as caught:
            await many(1000)
        outside = await runtime.journal.read(runtime.session)
    assert not provider.requests
    assert not [record for record in outside if isinstance(record, CallStarted)]
    assert len(caught.value.remaining) == 1


async def test_a_flow_is_stopped_by_what_another_session_asks(tmp_path: Path) -> None:
    """What it has in flight is stopped and booked, its caller is told why, and flows beside it go on."""
    journal = tmp_path / "stratum.db"
    provider = scripted(otherwise=Reply(value={"text": "hi"}, delay_s=math.inf))
    runs: list[str] = []
    told = trio.Event()

    @flow(budget=Budget(usd=1))
    async def two() -> None:
        place = current_place.get()
        assert place is not None
        runs.append(place.run.id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, "a")
            nursery.start_soon(say, "b")

    @flow
    async def beside() -> None:
        await told.wait()

    async def stop() -> None:
        while provider.in_flight < 2:
            await trio.sleep(0.01)
        async with open_journal(journal, session="another") as other, trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            assert await other.post(runs[0], CancelRun(by="ada", reason="too dear"))
            nursery.cancel_scope.cancel()

    async with open_runtime(provider=provider, journal=journal) as runtime:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop)
            nursery.start_soon(beside)
            with trio.fail_after(60), pytest.raises(RunCancelled, match="too dear"):
                await two()
            told.set()
        records = await runtime.journal.read(runs[0])
    assert provider.in_flight == 0
    assert isinstance(records[-1], RunFinished)
    assert records[-1].state == "cancelled"
    assert [type(record) for record in records].count(LeftInDoubt) == 2
