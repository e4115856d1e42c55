"""`parallel` and `race`: who is waited for, who is stopped, what is booked and recorded."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from tests.fakes.leaks import nothing_left
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    Failure,
    ParallelValidationFailed,
    Runtime,
    Success,
    compute,
    contract,
    flow,
    infer,
    open_runtime,
    parallel,
    race,
)
from stratum.contracts.price import Usage
from stratum.contracts.records import CallFinished, Diverged, LeftInDoubt, Record
from stratum.engine.dialects.protocol import Received
from stratum.engine.providers.scripted import Reply, Scripted, scripted

CENT = 10**10


@contract
class Word:
    text: str


@infer(intent="Say a word about {about}", max_output_tokens=1000)
def say(about: str) -> Word: ...


@compute
async def after(seconds: float, value: str) -> str:
    await trio.sleep(seconds)
    if value.startswith("bad"):
        raise ValueError(value)
    return value


def echo(received: Received, *, delay_s: float = 0) -> Reply:
    usage = Usage(input_tokens=100, output_tokens=received.max_output_tokens)
    return Reply(value=Word(text=received.inputs), usage=usage, delay_s=delay_s)


@asynccontextmanager
async def session(provider: Scripted | None = None, journal: Path | None = None) -> AsyncGenerator[Runtime]:
    async with nothing_left(), open_runtime(provider=provider or scripted(otherwise=echo), journal=journal) as runtime:
        yield runtime


async def test_all_results_come_in_the_order_of_the_calls(autojump_clock: MockClock) -> None:
    """CASES E1."""
    async with session():
        assert await parallel(after(2, "a"), after(1, "b"), after(3, "c")) == ("a", "b", "c")
    assert trio.current_time() == 3


async def test_branches_that_are_stopped_end_by_one_cancellation_and_each_is_recorded(
    autojump_clock: MockClock,
) -> None:
    raised: list[BaseException] = []

    @flow
    async def several() -> None:
        try:
            await parallel(say("a"), say("b"), after(9, "c"))
        except BaseException as error:
            raised.append(error)
            raise

    async with session(scripted(otherwise=partial(echo, delay_s=9))) as runtime:
        with trio.move_on_after(1) as scope:
            await several()
        assert scope.cancelled_caught
        assert trio.current_time() == 1
        records = await recorded(runtime, "several")
    assert [type(error) for error in raised] == [trio.Cancelled]
    ended = [record.call for record in records if isinstance(record, CallFinished) and record.outcome == "cancelled"]
    assert sorted(ended) == ["parallel#1", "parallel#1/after#1", "parallel#1/say#1", "parallel#1/say#2"]
    assert len([record for record in records if isinstance(record, LeftInDoubt)]) == 2


async def test_no_calls_are_no_results(autojump_clock: MockClock) -> None:
    async with session():
        assert await parallel() == ()
        assert await parallel(require=0) == []


async def test_the_first_failure_stops_the_others_and_is_raised(autojump_clock: MockClock) -> None:
    """CASES E2."""
    async with session():
        with pytest.raises(ValueError, match=r"^bad$"):
            await parallel(after(5, "slow"), after(1, "bad"), after(9, "bad too"))
        assert trio.current_time() == 1


async def test_any_gives_the_first_value_and_stops_the_rest(autojump_clock: MockClock) -> None:
    """CASES E3."""
    async with session():
        assert await parallel(after(1, "bad"), after(2, "b"), after(9, "c"), require="any") == "b"
        assert trio.current_time() == 2
        with pytest.raises(ValueError, match="bad last"):
            await parallel(after(3, "bad last"), after(1, "bad first"), require="any")


async def test_n_successes_are_enough(autojump_clock: MockClock) -> None:
    """CASES E4: in the order of the calls; when too many have failed, the rest is stopped."""
    async with session():
        assert await parallel(after(3, "a"), after(9, "b"), after(1, "c"), after(2, "bad"), require=2) == ["a", "c"]
        assert trio.current_time() == 3
        with pytest.raises(ValueError, match="bad second"):
            await parallel(after(9, "a"), after(1, "bad first"), after(2, "bad second"), require=2)
        assert trio.current_time() == 5


async def test_nothing_required_waits_for_all_and_never_raises(autojump_clock: MockClock) -> None:
    """CASES E5."""
    async with session():
        ended = await parallel(after(2, "a"), after(1, "bad"), after(3, "c"), require=0)
    assert ended[0] == Success("a") and ended[2] == Success("c")
    assert isinstance(ended[1], Failure) and isinstance(ended[1].error, ValueError)


async def test_results_that_will_not_do_are_refused_after_enough_succeeded(autojump_clock: MockClock) -> None:
    """CASES E6."""

    async def at_leisure(found: list[str]) -> bool:
        await trio.sleep(1)
        return "c" in found

    async with session():
        with pytest.raises(ParallelValidationFailed) as caught:
            await parallel(after(1, "a"), after(1, "b"), validate=lambda both: both[0] == both[1])
        assert caught.value.results == ("a", "b")
        with pytest.raises(ParallelValidationFailed):
            await parallel(after(1, "a"), after(1, "b"), require=1, validate=at_leisure)
        assert await parallel(after(0, "a"), after(0, "a"), validate=lambda both: both[0] == both[1]) == ("a", "a")


async def test_a_race_is_won_by_the_first_value(autojump_clock: MockClock) -> None:
    """CASES E8."""
    async with session():
        assert await race(after(3, "a"), after(1, "bad"), after(2, "c")) == "c"
        assert trio.current_time() == 2
        with pytest.raises(ValueError, match="bad last"):
            await race(after(2, "bad last"), after(1, "bad first"))
        with pytest.raises(ValueError, match="requires 1 of 0"):
            await race()
        with pytest.raises(ValueError, match="requires 1 of 0"):
            await parallel(require="any")


async def test_misuse_is_refused_and_leaves_no_coroutine_behind(autojump_clock: MockClock) -> None:
    """CASES E8: warnings of coroutines never awaited are errors here."""
    async with session():
        with pytest.raises(ValueError, match="requires 3 of 2"):
            await parallel(after(1, "a"), after(1, "b"), require=3)
        with pytest.raises(ValueError, match='pass "all"'):
            await parallel(after(1, "a"), require=-1)
        with pytest.raises(TypeError, match="3 is not one"):
            await parallel(after(1, "a"), 3)  # type: ignore[call-overload]
        twice = after(1, "a")
        with pytest.raises(ValueError, match="twice"):
            await race(twice, twice)


@flow
async def first_word() -> Word:
    return await race(say("x"), say("y"))


@flow
async def several_words(count: int) -> int:
    return len(await parallel(*[say(str(number)) for number in range(count)]))


async def recorded(runtime: Runtime, name: str) -> list[Record]:
    """What the latest run of this flow left in the journal."""
    return await runtime.journal.read(await run_of(runtime, name))


async def run_of(runtime: Runtime, name: str) -> str:
    return next(run.run for run in await runtime.journal.runs() if run.name == name)


async def test_the_cost_of_a_loser_is_booked(autojump_clock: MockClock) -> None:
    """CASES D12: its answer is lost, so that all it may have cost counts."""
    provider = scripted(functions={"say": [partial(echo, delay_s=1), partial(echo, delay_s=100)]})
    async with session(provider) as runtime:
        await first_word()
        assert trio.current_time() < 2
        assert provider.in_flight == 0
        records = await recorded(runtime, "first_word")
    assert len([record for record in records if isinstance(record, LeftInDoubt)]) == 1


async def test_every_branch_is_in_the_trace_with_its_parent(autojump_clock: MockClock) -> None:
    async with session() as runtime:
        assert await several_words(3) == 3
        records = await recorded(runtime, "several_words")
    traces = [record.trace for record in records if isinstance(record, CallFinished)]
    assert {trace.step_id: trace.parent_id for trace in traces} == {
        "parallel#1": "",
        "parallel#1/say#1": "parallel#1",
        "parallel#1/say#2": "parallel#1",
        "parallel#1/say#3": "parallel#1",
    }


@flow(budget=Budget(usd=0.1))
async def say_all(count: int) -> int:
    return len(await parallel(*[say(f"{number:05}") for number in range(count)]))


async def test_a_budget_for_ten_admits_ten_of_a_thousand_branches(autojump_clock: MockClock) -> None:
    """CASES D3, D12: exactly what fits is sent; the other branches never become tasks."""
    provider = scripted(otherwise=partial(echo, delay_s=1))
    most_tasks = 0

    async def watch() -> None:
        nonlocal most_tasks
        while True:
            most_tasks = max(most_tasks, trio.lowlevel.current_statistics().tasks_living)
            await trio.sleep(0.1)

    async with session(provider):
        before = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            with pytest.raises(BudgetExceeded) as caught:
                await say_all(1000)
            nursery.cancel_scope.cancel()
    billed = sum(usage.input_tokens * 2_000_000 + usage.output_tokens * 8_000_000 for usage in provider.billed)
    assert 9 * CENT <= billed <= 10 * CENT
    assert caught.value.step == "say_all"
    assert most_tasks - before < 30


async def test_an_exhausted_budget_starts_none_of_ten_thousand_branches(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=echo)

    @flow(budget=Budget(usd=0.0001))
    async def too_poor() -> None:
        await parallel(*[say(f"{number}") for number in range(10_000)])

    async with session(provider):
        with pytest.raises(BudgetExceeded) as caught:
            await too_poor()
    assert provider.requests == []
    assert len(caught.value.remaining) <= 3


async def test_branches_of_their_own_budget_fail_for_themselves(autojump_clock: MockClock) -> None:
    """CASES D5."""
    poor = infer(intent="Say", max_output_tokens=1000, budget=Budget(usd=0.0001))(_say)
    async with session():
        ended = await parallel(say("x"), poor("y"), require=0)
    assert isinstance(ended[0], Success)
    assert isinstance(ended[1], Failure) and isinstance(ended[1].error, BudgetExceeded)


def _say(about: str) -> Word: ...  # type: ignore[empty-body]


async def test_calls_outside_any_runtime_share_one(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRATUM_JOURNAL", str(tmp_path / "journal.db"))
    monkeypatch.setenv("STRATUM_BASE_URL", "http://localhost:9/v1")
    assert await parallel(after(1, "a"), after(1, "b")) == ("a", "b")


@compute
async def chained(number: int) -> tuple[int, int]:
    word = await say("the same")
    await trio.sleep(number)
    return number, len(word.text)


@flow
async def equal_calls() -> list[tuple[int, int]]:
    lengths = await parallel(*[chained(number) for number in range(4)])
    fastest = await race(chained(9), chained(5))
    await crash_once()
    return [*lengths, fastest]


crashes: list[bool] = []


@compute(inline=True)
def crash_once() -> None:
    if not crashes:
        crashes.append(True)
        raise RuntimeError("crash")


async def test_a_resumed_fan_out_asks_neither_winners_nor_losers_again(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """CASES F18: who won is recorded; equal calls of different branches are told apart, whatever order they ran in."""
    crashes.clear()
    lengths = iter(range(100))

    def longer(received: Received) -> Word:
        return Word(text="x" * next(lengths))

    provider = scripted(otherwise=longer)
    journal = tmp_path / "journal.db"
    async with session(provider, journal) as runtime:
        with pytest.raises(RuntimeError, match="crash"):
            await equal_calls()
        run = await run_of(runtime, "equal_calls")
        before = {
            record.trace.inputs["number"]: record.trace.output
            for record in await runtime.journal.read(run)
            if isinstance(record, CallFinished) and record.trace.function == "chained" and record.outcome == "ok"
        }
    assert len(provider.requests) == 6
    again = scripted()
    async with session(again, journal) as runtime:
        result = await runtime.resume(equal_calls, run)
        assert not [record for record in await runtime.journal.read(run) if isinstance(record, Diverged)]
    assert again.requests == []
    assert result == [tuple(before[number]) for number in (0, 1, 2, 3, result[-1][0])]


async def test_a_fan_out_that_never_began_leaves_none_of_its_calls_behind(autojump_clock: MockClock) -> None:
    """CASES E2: a coroutine never awaited is a warning, which is an error here."""
    async with session():
        with pytest.raises(ValueError, match="bad"):
            await parallel(
                after(0, "bad"),
                *[parallel(race(after(1, "a"), after(2, "b")), after(3, "c")) for _ in range(20)],
            )
