"""Flows: one budget over parallel branches, nesting, and who raises what."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock

from stratum import Budget, BudgetExceeded, ContractDefinitionError, compute, contract, flow, infer, open_runtime
from stratum.contracts.price import Usage
from stratum.contracts.records import CallFinished, Exhausted, Leaked, RunFinished, RunStarted
from stratum.engine.dialects.protocol import Received
from stratum.engine.providers.scripted import Reply, Scripted, scripted

CENT = 10**10


def full(received: Received, *, delay_s: float = 0) -> Reply:
    """An answer that uses all of the cap it was sent with, as a provider that honours it may."""
    usage = Usage(input_tokens=100, output_tokens=received.max_output_tokens)
    return Reply(value=Word(text="hi"), usage=usage, delay_s=delay_s)


def billed(provider: Scripted) -> int:
    """Picodollars, at the scripted price."""
    return sum(usage.input_tokens * 2_000_000 + usage.output_tokens * 8_000_000 for usage in provider.billed)


@contract
class Word:
    text: str


@infer(intent="Say a word", max_output_tokens=1000)
def say(about: str) -> Word: ...


@flow(budget=Budget(usd=0.1))
async def say_many(count: int) -> list[Word]:
    said: list[Word] = []

    async def one(number: int) -> None:
        said.append(await say(f"{number:03}"))

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
    return said


async def test_a_hundred_branches_under_a_budget_for_ten_pay_for_ten_at_most(autojump_clock: MockClock) -> None:
    """CASES D3; the provider's own bill never exceeds the limit, and every sibling is stopped."""
    provider = scripted(otherwise=partial(full, delay_s=1))
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(BudgetExceeded) as caught:
            await say_many(100)
    assert 9 * CENT <= billed(provider) <= 10 * CENT
    assert provider.in_flight == 0
    error = caught.value
    assert (error.resource, error.limit, error.step) == ("usd", 10 * CENT, "say_many")
    assert error.settled + error.in_doubt <= error.limit
    assert len(error.completed) + len(error.remaining) == 100
    assert {done.function for done in error.completed} == {"say"}
    assert all(done.result == Word(text="hi") for done in error.completed)
    assert len(error.completed) >= 9


async def test_cheaper_answers_than_reserved_let_all_that_fit_be_made(autojump_clock: MockClock) -> None:
    """BUDGETS cases 4 and 5: a reservation is a bound, what settles below it is free again."""
    cheap = Usage(input_tokens=100, output_tokens=10)
    provider = scripted(otherwise=Reply(value=Word(text="hi"), usage=cheap, delay_s=1))
    async with open_runtime(provider=provider, journal=None):
        said = await say_many(100)
    assert len(said) == 100
    assert provider.most_in_flight <= 12


@flow(budget=Budget(usd=0.1))
async def say_five_then_too_much(text: str) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(say, str(number))
        await trio.sleep(1)
        await say(text)  # its input alone costs more than the flow may


TOO_MUCH = "word " * 60_000


async def test_exhaustion_stops_every_sibling_at_once(autojump_clock: MockClock) -> None:
    """CASES D2, D9: the first refusal cancels those in flight; nothing new is sent."""
    provider = scripted(otherwise=partial(full, delay_s=100))
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(BudgetExceeded) as caught:
            await say_five_then_too_much(TOO_MUCH)
        assert trio.current_time() == 1
    assert len(provider.requests) == 5
    assert provider.in_flight == 0
    assert caught.value.requested > caught.value.limit
    assert caught.value.in_doubt >= 4 * CENT
    assert len(caught.value.remaining) == 6


async def test_drain_lets_calls_already_paid_for_finish(autojump_clock: MockClock) -> None:
    draining = flow(budget=Budget(usd=0.1, on_exhaustion="drain"))(say_five_then_too_much.function)
    provider = scripted(otherwise=partial(full, delay_s=100))
    async with open_runtime(provider=provider, journal=None):
        with pytest.raises(BudgetExceeded) as caught:
            await draining(TOO_MUCH)
        assert trio.current_time() == 100
    assert caught.value.in_doubt == 0
    assert len(caught.value.completed) == 5
    assert len(caught.value.remaining) == 1


async def test_a_flows_deadline_stops_whatever_it_is_doing(autojump_clock: MockClock) -> None:
    """CASES D9: a sleep, a compute, between calls."""

    @flow(budget=Budget(ms=1500))
    async def sleepy(seconds: float) -> str:
        await trio.sleep(seconds)
        return "awake"

    async with open_runtime(provider=scripted(), journal=None):
        assert await sleepy(1.0) == "awake"
        with pytest.raises(BudgetExceeded) as caught:
            await sleepy(10.0)
    assert caught.value.resource == "ms"
    assert caught.value.limit == 1500
    assert trio.current_time() == 2.5


async def test_a_call_draws_from_its_flow_and_the_tighter_budget_wins() -> None:
    """CASES D2, D5, D6."""

    @flow(budget=Budget(usd=0.0085))
    async def inner(text: str) -> Word:
        await say(text)
        return await say(text)

    @flow(budget=Budget(usd=1))
    async def outer(text: str) -> str:
        try:
            await inner(text)
        except BudgetExceeded as error:
            assert error.step == "inner#1"
            return f"{len(error.completed)} done"
        return "all done"

    provider = scripted(otherwise=full)
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await outer("x") == "1 done"
        assert runtime.place.envelope.scope.settled.picousd == billed(provider)
    assert len(provider.requests) == 1


async def test_calls_carry_the_id_of_their_flow_and_none_outside_of_one() -> None:
    """CASES F8."""

    @flow
    async def inner(text: str) -> Word:
        return await say(text)

    @flow
    async def outer(text: str) -> Word:
        await say(text)
        await inner(text)
        raise LookupError(text)

    async with open_runtime(provider=scripted(otherwise=full), journal=None) as runtime:
        for number in range(2):
            with pytest.raises(LookupError):
                await outer(f"{number}")
            await say("outside")
        runs = {run.run: await runtime.journal.read(run.run) for run in await runtime.journal.runs()}
    of_run = {
        run: [(trace.step_id, trace.flow_id) for trace in (r.trace for r in records if isinstance(r, CallFinished))]
        for run, records in runs.items()
    }
    assert of_run.pop(runtime.session) == [("say#1", ""), ("say#2", "")]
    for run, traced in of_run.items():
        found = dict(traced)
        assert found["say#1"] == found["inner#1"] == run
        assert len(found["inner#1/say#1"]) == 12 and found["inner#1/say#1"] != run
    assert len({id for traced in of_run.values() for _, id in traced}) == 4


async def test_each_invocation_has_a_fresh_budget_and_run() -> None:
    """CASES D7, F8."""

    @flow(budget=Budget(usd=0.0085))
    async def once(text: str) -> Word:
        return await say(text)

    provider = scripted(otherwise=full)
    async with open_runtime(provider=provider, journal=None) as runtime:
        for _ in range(3):
            await once("x")
        runs = [run for run in await runtime.journal.runs() if run.name == "once"]
    assert len({run.run for run in runs}) == 3
    assert {run.state for run in runs} == {"succeeded"}


async def test_the_sessions_budget_is_around_everything_called_in_it() -> None:
    """BUDGETS cases 13 and 14."""

    @flow(budget=Budget(usd=1))
    async def once(text: str) -> Word:
        return await say(text)

    provider = scripted(otherwise=full)
    with pytest.raises(BudgetExceeded) as caught:
        async with open_runtime(provider=provider, journal=None, budget=Budget(usd=0.0167)):
            for _ in range(5):
                await once("x")
    assert caught.value.step == "session"
    assert len(provider.requests) == 2


async def test_a_group_of_one_budget_error_is_unwrapped() -> None:
    """A nursery in a flow wraps errors; users write `except BudgetExceeded`."""

    @infer(intent="Say", budget=Budget(usd=0))
    def refused(about: str) -> Word: ...

    @flow
    async def nursed(text: str) -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, text)
        return "never"

    async with open_runtime(provider=scripted(), journal=None):
        with pytest.raises(BudgetExceeded) as caught:
            await nursed("x")
    assert caught.value.step == "refused#1"


async def test_computes_are_steps_of_the_same_kind_and_cost_nothing() -> None:
    @compute(inline=True)
    def shout(word: Word) -> Word:
        return Word(text=word.text.upper())

    @flow(budget=Budget(usd=0))
    async def loud(text: str) -> Word:
        return await shout(Word(text=text))

    async with open_runtime(provider=scripted(), journal=None) as runtime:
        assert await loud("hi") == Word(text="HI")
        (run,) = [run for run in await runtime.journal.runs() if run.name == "loud"]
        records = await runtime.journal.read(run.run)
    assert isinstance(records[0], RunStarted)
    assert isinstance(records[-1], RunFinished)
    (trace,) = [record.trace for record in records if isinstance(record, CallFinished)]
    assert (trace.kind, trace.attempts, trace.output, trace.cost_usd) == ("compute", 1, {"text": "HI"}, 0.0)


async def test_a_hanging_compute_is_abandoned_at_the_deadline_and_reported() -> None:
    import threading

    release = threading.Event()

    @compute
    def hang(text: str) -> str:
        release.wait(60)
        return text

    @flow(budget=Budget(ms=500))
    async def stuck(text: str) -> str:
        return await hang(text)

    async with open_runtime(provider=scripted(), journal=None) as runtime:
        with pytest.raises(BudgetExceeded) as caught:
            await stuck("x")
        (run,) = [run for run in await runtime.journal.runs() if run.name == "stuck"]
        records = await runtime.journal.read(run.run)
        release.set()
    assert caught.value.resource == "ms"
    assert caught.value.remaining == ["hang#1"]
    assert any(isinstance(record, Leaked) for record in records)


async def test_exhaustion_is_in_the_journal(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=partial(full, delay_s=1))
    async with open_runtime(provider=provider, journal=None) as runtime:
        with pytest.raises(BudgetExceeded):
            await say_many(30)
        (run,) = [run for run in await runtime.journal.runs() if run.name == "say_many"]
        records = await runtime.journal.read(run.run)
    assert any(isinstance(record, Exhausted) and record.resource == "usd" for record in records)
    assert isinstance(records[-1], RunFinished)
    assert records[-1].state == "exhausted"


async def test_what_stopped_a_call_is_recorded_as_its_reason(autojump_clock: MockClock) -> None:
    """Not as a task at an address, which nobody can look up afterwards."""
    async with open_runtime(provider=scripted(Reply(value=Word(text="hi"), delay_s=60)), journal=None) as runtime:
        events = runtime.events.subscribe()
        async with events as records:
            with pytest.raises(BudgetExceeded):
                await late("now")
            records.close()
            ends = [record async for _, record in records if isinstance(record, CallFinished)]
    assert [end.trace.error for end in ends] == ["deadline"]


@flow(budget=Budget(ms=20))
async def late(text: str) -> Word:
    return await say(text)


def test_a_plain_function_cannot_be_a_flow() -> None:
    with pytest.raises(ContractDefinitionError, match="async def"):

        @flow  # type: ignore[arg-type]
        def plain(text: str) -> str:
            return text
