"""Durable flows: what completed is not done again, what was spent stays spent, and what changed is reported."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import trio

from stratum import (
    Budget,
    BudgetExceeded,
    CallFailed,
    Flow,
    PostconditionFailed,
    ProviderError,
    UnknownRun,
    compute,
    contract,
    flow,
    infer,
    open_runtime,
)
from stratum.contracts.errors import RunError
from stratum.contracts.price import Usage
from stratum.contracts.records import (
    AttemptFinished,
    CallFinished,
    Diverged,
    LimitRaised,
    Record,
    RunFinished,
    RunResumed,
    RunStarted,
)
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.protocol import Dialect, Received
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.providers.protocol import Answer
from stratum.engine.providers.scripted import Reply, Scripted, scripted

POWER_CUT = KeyboardInterrupt("as sudden as a test can make it")


@contract
class Word:
    text: str


@contract
class Place(Word):
    """Of a meeting."""


@contract
class Room(Place):
    """In a house."""


@infer(intent="Say a word", ensure=lambda r: len(r.text) > 1, max_output_tokens=1000)
def say(about: str) -> Word: ...


computed: list[str] = []


@compute(inline=True)
def upper(word: Word) -> Word:
    computed.append(word.text)
    return Word(text=word.text.upper())


@flow(budget=Budget(usd=0.1, ms=60_000))
async def chorus(count: int) -> list[str]:
    return [(await upper(await say(f"{number}"))).text for number in range(count)]


@flow
async def inner(about: str) -> Word:
    return await upper(await say(about))


@flow(budget=Budget(usd=0.1))
async def forgiving(count: int) -> str:
    try:
        return (await say("0")).text
    except CallFailed as failed:
        how = (
            f"{type(failed).__name__} {failed.output if isinstance(failed, PostconditionFailed) else failed.violations}"
        )
        return f"{how}, {(await say(f'instead of {count}')).text}"


@flow(budget=Budget(usd=0.1))
async def outer(count: int) -> list[str]:
    return [(await inner(f"{number % 2}")).text for number in range(count)]


async def interrupted(step: Flow[..., Any], provider: Scripted, journal: Path, count: int) -> str:
    """Run until the script cuts the power; the id of the run."""
    with pytest.raises(KeyboardInterrupt):
        async with open_runtime(provider=provider, journal=journal):
            await step(count)
    async with open_runtime(provider=provider, journal=journal) as runtime:
        return next(run.run for run in await runtime.journal.runs() if run.name != "session")


async def resumed(
    step: Flow[..., Any], run: str, *, provider: Scripted, journal: Path, raised: Budget | None = None
) -> tuple[Any, list[Record]]:
    async with open_runtime(provider=provider, journal=journal) as runtime:
        result = await runtime.resume(step, run, raised=raised)
        return result, await runtime.journal.read(run)


def full(received: Received) -> Reply:
    usage = Usage(input_tokens=100, output_tokens=received.max_output_tokens)
    return Reply(value=Word(text=f"w{received.inputs[-1]}"), usage=usage)


async def test_a_resumed_flow_gets_recorded_results_for_what_completed(tmp_path: Path) -> None:
    """CASES F18, H39."""
    computed.clear()
    journal = tmp_path / "stratum.db"
    run = await interrupted(chorus, scripted(Word(text="w0"), Word(text="w1"), POWER_CUT), journal, 4)
    provider = scripted(Word(text="w2"), Word(text="w3"))
    result, records = await resumed(chorus, run, provider=provider, journal=journal)
    assert result == ["W0", "W1", "W2", "W3"]
    assert [received.inputs for received in provider.received] == ["about: 2", "about: 3"]
    assert computed == ["w0", "w1", "w2", "w3"]
    assert any(isinstance(record, RunResumed) for record in records)
    assert not any(isinstance(record, Diverged) for record in records)


async def test_a_resumed_call_goes_on_from_its_rejected_answers(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    first = scripted(Word(text="x"), POWER_CUT)
    run = await interrupted(chorus, first, journal, 1)
    provider = scripted(Word(text="word"))
    result, records = await resumed(chorus, run, provider=provider, journal=journal)
    assert result == ["WORD"]
    assert provider.received[0].attempt == 2
    assert provider.requests[0].body == first.requests[1].body
    (finished,) = [
        record
        for record in records
        if isinstance(record, CallFinished) and record.call == "say#1" and record.outcome == "ok"
    ]
    assert finished.trace.attempts == 2
    assert [record.attempt.number for record in records if isinstance(record, AttemptFinished)] == [1, 2]


@pytest.mark.parametrize("rejected", [Word(text="x"), Reply(text="No word comes to mind.")])
async def test_a_call_that_had_failed_fails_again_in_the_same_way(tmp_path: Path, rejected: Word | Reply) -> None:
    script = scripted(*[rejected] * 4, Word(text="else"))
    async with open_runtime(provider=script, journal=None):
        at_once = await forgiving(1)
    run = await interrupted(forgiving, scripted(*[rejected] * 4, POWER_CUT), tmp_path / "stratum.db", 1)
    provider = scripted(Word(text="else"))
    later, _ = await resumed(forgiving, run, provider=provider, journal=tmp_path / "stratum.db")
    assert later == at_once
    assert ("PostconditionFailed" in later) is isinstance(rejected, Word)
    assert len(provider.received) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ResponsesDialect(), ChatDialect()),
        (ChatDialect(), ResponsesDialect()),
        (ResponsesDialect(), ChatDialect("json_schema")),
        (ChatDialect("json_schema"), ChatDialect()),
    ],
    ids=lambda dialect: dialect.name,
)
async def test_a_rejected_answer_of_another_wire_format_is_retried_from(
    tmp_path: Path, before: Dialect, after: Dialect
) -> None:
    journal = tmp_path / "stratum.db"
    script = (Word(text="x"), Reply(text="No word comes to mind."), POWER_CUT)
    run = await interrupted(chorus, scripted(*script, dialect=before), journal, 1)
    provider = scripted(Word(text="word"), dialect=after)
    result, _ = await resumed(chorus, run, provider=provider, journal=journal)
    assert result == ["WORD"]
    (received,) = provider.received
    assert received.attempt == 3
    assert "(actual: r.text = 'x')" in received.messages[0]
    said = provider.requests[0].body.replace(b"\\", b"")
    assert b'"text":"x"' in said
    assert b"No word comes to mind." in said


async def test_an_answer_that_was_paid_for_but_not_judged_is_judged_on_resume(tmp_path: Path) -> None:
    """A postcondition that takes its time must not cost the answer."""

    async def patient(result: Word) -> bool:
        if not tmp_path.joinpath("patience").exists():
            raise POWER_CUT
        return True

    asked = infer(intent="Say a word", ensure=patient)(say.function)

    @flow
    async def once(count: int) -> str:
        return (await asked(f"{count}")).text

    journal = tmp_path / "stratum.db"
    run = await interrupted(once, scripted(Word(text="paid")), journal, 1)
    tmp_path.joinpath("patience").touch()
    provider = scripted()
    result, records = await resumed(once, run, provider=provider, journal=journal)
    assert result == "paid"
    assert provider.requests == []
    (trace,) = [record.trace for record in records if isinstance(record, CallFinished) and record.outcome == "ok"]
    assert (trace.attempts, trace.cost_picousd > 0) == (1, True)


async def test_the_same_budget_keeps_counting_and_what_was_in_flight_stays_in_doubt(tmp_path: Path) -> None:
    """BUDGETS rule 10, case 22."""
    journal = tmp_path / "stratum.db"
    first = scripted(*[full] * 8, POWER_CUT)
    run = await interrupted(chorus, first, journal, 40)
    provider = scripted(otherwise=full)
    with pytest.raises(BudgetExceeded) as caught:
        await resumed(chorus, run, provider=provider, journal=journal)
    billed = sum(
        usage.input_tokens * 2_000_000 + usage.output_tokens * 8_000_000 for usage in (*first.billed, *provider.billed)
    )
    assert caught.value.in_doubt > 0
    assert caught.value.settled == billed
    assert caught.value.settled + caught.value.in_doubt <= caught.value.limit
    said = [done for done in caught.value.completed if done.function == "say"]
    assert len(said) == 8 + len(provider.billed)


async def test_raising_the_limit_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    run = ""
    with pytest.raises(BudgetExceeded):
        async with open_runtime(provider=scripted(otherwise=full), journal=journal):
            await chorus(20)
    async with open_runtime(provider=scripted(), journal=journal) as runtime:
        run = next(run.run for run in await runtime.journal.runs() if run.name == "chorus")
    provider = scripted(otherwise=full)
    result, records = await resumed(chorus, run, provider=provider, journal=journal, raised=Budget(usd=0.5))
    assert len(result) == 20
    assert [record.limits for record in records if isinstance(record, LimitRaised)] == [{"usd": 500_000_000_000}]


@flow(budget=Budget(usd=0.01))
async def stanza(count: int) -> list[str]:
    return [(await say(f"{number}")).text for number in range(count)]


@flow(budget=Budget(usd=0.1))
async def ballad(count: int) -> list[str]:
    return await stanza(count)


async def test_the_limit_of_a_flow_within_can_be_raised(tmp_path: Path) -> None:
    async with open_runtime(provider=scripted(otherwise=full), journal=tmp_path / "stratum.db") as runtime:
        with pytest.raises(BudgetExceeded) as caught:
            await ballad(4)
        assert caught.value.step == "stanza#1"
        run = next(run.run for run in await runtime.journal.runs() if run.name == "ballad")
        with pytest.raises(BudgetExceeded):
            await runtime.resume(ballad, run)
        with pytest.raises(RunError, match="name a step that has one: stanza#1"):
            await runtime.resume(ballad, run, raised={"stanza": Budget(usd=0.05)})
        assert await runtime.resume(ballad, run, raised={"stanza#1": Budget(usd=0.05)}) == ["w0", "w1", "w2", "w3"]
        (raised,) = [record for record in await runtime.journal.read(run) if isinstance(record, LimitRaised)]
        assert (raised.scope, raised.limits) == ("stanza#1", {"usd": 50_000_000_000})


async def test_the_time_of_a_flow_within_can_be_raised(autojump_clock: trio.testing.MockClock) -> None:
    @flow(budget=Budget(ms=1000))
    async def nap(about: str) -> str:
        await trio.sleep(3)
        return about

    @flow
    async def night(count: int) -> str:
        return await nap("slept")

    async with open_runtime(provider=scripted(), journal=None) as runtime:
        with pytest.raises(BudgetExceeded):
            await night(1)
        run = next(run.run for run in await runtime.journal.runs() if run.name.endswith("night"))
        assert await runtime.resume(night, run, raised={"nap#1": Budget(ms=5000)}) == "slept"


async def test_a_finished_run_gives_its_result_again_and_calls_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    async with open_runtime(provider=scripted(otherwise=full), journal=journal) as runtime:
        assert await chorus(2) == ["W0", "W1"]
        run = next(run.run for run in await runtime.journal.runs() if run.name == "chorus")
    provider = scripted()
    result, _ = await resumed(chorus, run, provider=provider, journal=journal)
    assert result == ["W0", "W1"]
    assert provider.requests == []


async def test_nested_flows_are_steps_and_equal_calls_are_told_apart_by_occurrence(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    run = await interrupted(outer, scripted(Word(text="a0"), Word(text="b1"), Word(text="c0"), POWER_CUT), journal, 4)
    provider = scripted(Word(text="d1"))
    result, _ = await resumed(outer, run, provider=provider, journal=journal)
    assert result == ["A0", "B1", "C0", "D1"]


async def test_code_that_no_longer_makes_the_same_calls_is_reported(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    run = await interrupted(chorus, scripted(Word(text="w0"), Word(text="w1"), POWER_CUT), journal, 4)

    @flow(budget=Budget(usd=0.1))
    async def changed(count: int) -> list[str]:
        return [(await say("something else")).text]

    result, records = await resumed(changed, run, provider=scripted(Word(text="new")), journal=journal)
    assert result == ["new"]
    (diverged,) = [record for record in records if isinstance(record, Diverged)]
    assert sorted(diverged.calls) == ["say#1", "say#2", "upper#1", "upper#2"]
    assert diverged.code_changed


async def test_a_changed_prompt_is_a_new_call(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    run = await interrupted(chorus, scripted(Word(text="w0"), POWER_CUT), journal, 2)
    reworded = infer(intent="Say a better word")(say.function)

    @flow
    async def chorus_again(count: int) -> list[str]:
        return [(await reworded(f"{number}")).text for number in range(count)]

    provider = scripted(Word(text="b0"), Word(text="b1"))
    result, _ = await resumed(chorus_again, run, provider=provider, journal=journal)
    assert result == ["b0", "b1"]


async def test_an_unknown_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownRun, match="nosuchrun"):
        await resumed(chorus, "nosuchrun", provider=scripted(), journal=tmp_path / "stratum.db")


async def test_time_used_before_counts_and_downtime_does_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """BUDGETS rule 9. In memory: a clock that jumps cannot wait for a disk."""

    @flow(budget=Budget(ms=10_000))
    async def slow(count: int) -> str:
        await say("1")
        await trio.sleep(5)
        return "done"

    script = scripted(Reply(value=Word(text="w1"), delay_s=6), otherwise=full)
    async with open_runtime(provider=script, journal=None) as runtime:
        with pytest.raises(BudgetExceeded):
            await slow(1)
        run = next(run.run for run in await runtime.journal.runs() if run.name == "slow")
        await trio.sleep(1000)
        with pytest.raises(BudgetExceeded):
            await runtime.resume(slow, run)
        assert trio.current_time() == 1010
        assert await runtime.resume(slow, run, raised=Budget(ms=20_000)) == "done"
        assert trio.current_time() == 1015


async def test_the_clock_of_a_step_that_failed_does_not_run_on_until_it_is_tried_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """BUDGETS rule 9: its time is what it used, not what the run did afterwards."""

    @flow(budget=Budget(ms=10_000))
    async def brittle(about: str) -> Word:
        await trio.sleep(4)
        return await say(about)

    @flow
    async def patient(about: str) -> str:
        try:
            word = await brittle(about)
        except ProviderError:
            await trio.sleep(60)
            raise POWER_CUT from None
        return word.text

    refused = Answer(status=400, headers={}, body=b"{}")
    async with open_runtime(provider=scripted(refused, refused, otherwise=full), journal=None) as runtime:
        with pytest.raises(KeyboardInterrupt):
            await patient("x")
        run = next(run.run for run in await runtime.journal.runs() if run.name == "patient")
        with pytest.raises(KeyboardInterrupt):
            await patient.resume(run, runtime.place)
        with pytest.raises(BudgetExceeded) as caught:
            await patient.resume(run, runtime.place)
    assert (caught.value.step, caught.value.resource) == ("brittle#1", "ms")
    assert trio.current_time() == 4 + 60 + 4 + 60 + 2


async def test_a_run_killed_before_its_budget_was_recorded_begins_with_the_raised_one() -> None:
    async with open_runtime(provider=scripted(otherwise=full), journal=None) as runtime:
        start = RunStarted(session=runtime.session, name="chorus", inputs=msgspec.Raw(b'{"count":20}'))
        stop = RunFinished(state="cancelled")
        await runtime.journal.commit("killed", start)
        await runtime.journal.commit("killed", stop)
        result = await chorus.resume("killed", runtime.place, raised=Budget(usd=0.5))
        assert len(result) == 20
        await runtime.journal.read("killed")
        assert await chorus.resume("killed", runtime.place) == result


Either = str | date


@compute(inline=True)
def earliest(found: list[Either]) -> Either:
    return found[0]


@flow
async def of_kinds(when: Either, meeting: datetime, by_number: dict[int, Place]) -> list[str]:
    found = [await earliest([when]), await earliest([str(when)])]
    (place,) = by_number.values()
    await say("kinds")
    return [*(type(each).__name__ for each in found), type(place).__name__, (meeting + timedelta(days=1)).isoformat()]


async def test_a_resumed_flow_gets_its_arguments_and_results_back_as_the_kinds_they_were(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    by_number: dict[int, Place] = {1: Room(text="w")}
    arguments = (date(2026, 3, 28), datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin")), by_number)
    with pytest.raises(KeyboardInterrupt):
        async with open_runtime(provider=scripted(POWER_CUT), journal=journal):
            await of_kinds(*arguments)
    async with open_runtime(provider=scripted(Word(text="ok")), journal=journal) as runtime:
        run = next(run.run for run in await runtime.journal.runs() if run.name != "session")
        result = await runtime.resume(of_kinds, run)
        # The clocks went forward that night: an hour of a bare offset would be one o'clock.
        assert result == ["date", "str", "Room", "2026-03-29T12:00:00+02:00"]
        assert await runtime.resume(of_kinds, run) == result
