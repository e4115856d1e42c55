"""Where the time goes, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tests.engine.plans.plan_fixtures import asked, open_project, reported, started
from trio.testing import MockClock

from stratum import await_human, compute, contract, flow, infer, open_runtime
from stratum.engine.providers.protocol import Answer
from stratum.engine.providers.scripted import Reply, scripted
from stratum.people import Review


@contract
class Word:
    text: str


@infer(intent="Judge the word")
def judge(word: str) -> bool: ...


async def takes_two_seconds(word: Word) -> bool:
    await trio.sleep(2)
    return True


async def is_judged(word: Word) -> bool:
    await trio.sleep(1)
    return await judge(word.text)


@infer(intent="Say a word", ensure=takes_two_seconds)
def say(about: str) -> Word: ...


@infer(intent="Say a word", ensure=is_judged)
def say_and_be_judged(about: str) -> Word: ...


@compute
async def relay(about: str) -> Word:
    await trio.sleep(4)
    return await say(about)


async def test_waiting_and_judging_are_told_apart(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=Reply(value={"text": "hi"}, delay_s=3))
    async with open_runtime(provider=provider, journal=None) as runtime:
        timings = runtime.start_timing()
        await trio.sleep(5)
        await say("a")
        others = {
            "start": 0,
            "again": 0,
            "budget": 0,
            "journal": 0,
            "compute": 0,
            "command": 0,
            "agent": 0,
            "person": 0,
        }
        assert timings.seconds == {"model": 3, "ensure": 2, **others}
        assert timings.elsewhere == 5
        assert (timings.counts["model"], timings.counts["ensure"]) == (1, 1)


async def test_the_pause_before_a_request_is_repeated_is_no_time_with_the_model(autojump_clock: MockClock) -> None:
    busy = Answer(status=503, headers={"retry-after": "7"}, body=b"")
    async with open_runtime(provider=scripted(busy, Reply(value=True, delay_s=3)), journal=None) as runtime:
        timings = runtime.start_timing()
        await judge("rain")
        assert (timings.seconds["again"], timings.seconds["model"], timings.elsewhere) == (7, 3, 0)
        assert (timings.counts["again"], timings.counts["model"]) == (1, 2)


async def test_branches_at_the_same_time_share_the_clock(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=Reply(value={"text": "hi"}, delay_s=3))
    async with open_runtime(provider=provider, journal=None) as runtime:
        timings = runtime.start_timing()
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(say, f"{number}")
            nursery.start_soon(relay, "b")
        seconds = timings.seconds
        assert sum(seconds.values()) + timings.elsewhere == pytest.approx(9)
        # For 3 s ten calls and a compute; for 1 s ten conditions and the compute; then its call and, for 1 s, the conditions.
        assert seconds["model"] == pytest.approx(3 * 10 / 11 + 1 / 11 + 2)
        assert seconds["compute"] == pytest.approx(3 / 11 + 1 / 11)


async def test_a_call_within_a_condition_is_time_with_the_model(autojump_clock: MockClock) -> None:
    provider = scripted(
        functions={"say_and_be_judged": [Reply(value={"text": "hi"}, delay_s=3)]},
        otherwise=Reply(value=True, delay_s=7),
    )
    async with open_runtime(provider=provider, journal=None) as runtime:
        timings = runtime.start_timing()
        await say_and_be_judged("a")
        assert (timings.seconds["model"], timings.seconds["ensure"]) == (10, 1)


async def test_a_call_that_is_cancelled_leaves_its_span(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=Reply(value={"text": "hi"}, delay_s=3))

    @flow
    async def fails() -> None:
        with trio.move_on_after(0.5):
            await say("cancelled")
        await say("a")

    async with open_runtime(provider=provider, journal=None) as runtime:
        timings = runtime.start_timing()
        await fails()
        await trio.sleep(4)
        assert (timings.seconds["model"], timings.seconds["ensure"], timings.elsewhere) == (3.5, 2, 4)


async def test_nothing_is_counted_before_it_is_asked_for(autojump_clock: MockClock) -> None:
    async with open_runtime(provider=scripted({"text": "hi"}), journal=None) as runtime:
        await say("a")
        await trio.sleep(9)
        timings = runtime.start_timing()
        assert sum(timings.seconds.values()) + timings.elsewhere == 0
        assert timings.counts.total() == 0


class Ada:
    """A sink: she takes six seconds."""

    async def ask(self, review: Review) -> None:
        await trio.sleep(6)
        review.resolve("yes", reviewer="ada")


async def test_a_person_who_is_asked_takes_time_of_their_own(autojump_clock: MockClock) -> None:
    async with open_runtime(provider=scripted(), journal=None, sinks=[Ada()]) as runtime:
        timings = runtime.start_timing()
        assert (await await_human("Sure?")).value == "yes"
        assert (timings.seconds["person"], timings.counts["person"], timings.elsewhere) == (6, 1, 0)


PLAN = """
steps:
- {id: look, command: {argv: ["true"]}}
- {id: do, intent: Do it, output: str, ensure: 'command_succeeds("true")', depends_on: [look]}
- {id: ask, gate: {question: Go on?}, depends_on: [do]}
"""


async def test_of_a_plan_commands_agents_and_gates_are_told_apart(tmp_path: Path) -> None:
    async with open_project(tmp_path, journal=None) as plans:
        timings = plans.runtime.start_timing()
        run = await started(plans, PLAN)
        await reported(run, "do", "done")
        await asked(run, "ask")
        run.answer("ask", "approve", by="ada")
        await run.result()
    spent = {place: timings.counts[place] for place in ("command", "agent", "person", "ensure", "model")}
    assert spent == {"command": 2, "agent": 1, "person": 1, "ensure": 0, "model": 0}
    assert all(timings.seconds[place] > 0 for place in ("command", "agent", "person"))
