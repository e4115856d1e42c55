"""A runtime inside other programs: in fixtures, beside other runtimes, with the program's own context variables."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import pytest
import trio

from stratum import Runtime, compute, contract, flow, infer, open_runtime
from stratum.contracts.records import CallStarted
from stratum.engine.place import current_place
from stratum.engine.providers.scripted import Reply, scripted

request_id: ContextVar[str] = ContextVar("request_id", default="none")
seen: dict[str, tuple[str, bool]] = {}


def here() -> tuple[str, bool]:
    """The request that this belongs to, and whether it runs on the event loop's thread."""
    return request_id.get(), threading.current_thread() is threading.main_thread()


@contract
class Word:
    text: str


def is_traced(word: Word) -> bool:
    seen["ensure"] = here()
    return True


@infer(intent="Say a word", ensure=is_traced)
def say(about: str) -> Word: ...


@compute
def shout(text: str) -> str:
    seen["compute"] = here()
    request_id.set("changed in a thread")
    return text.upper()


@compute(inline=True)
def whisper(text: str) -> str:
    seen["inline"] = here()
    return text.lower()


@flow
async def speak(about: str) -> str:
    return await whisper(await shout((await say(about)).text))


@flow
async def speak_often(times: int) -> int:
    async with trio.open_nursery() as nursery:
        for number in range(times):
            nursery.start_soon(speak, f"{number}")
    return times


HELLO = Reply(value=Word(text="hello"))


@pytest.fixture
async def runtime() -> AsyncGenerator[Runtime]:
    async with open_runtime(provider=scripted(otherwise=HELLO), journal=None) as opened:
        yield opened


async def test_a_runtime_opened_by_a_fixture_is_the_tests_own(runtime: Runtime) -> None:
    assert await say("x") == Word(text="hello")
    assert await runtime.run(speak, "x") == "hello"
    calls = [record for record in await runtime.journal.read(runtime.session) if isinstance(record, CallStarted)]
    assert [record.call for record in calls] == ["say#1"]


async def test_a_background_task_may_use_the_fixtures_runtime(runtime: Runtime, nursery: trio.Nursery) -> None:
    answers: list[str] = []

    async def background() -> None:
        answers.append(await runtime.run(speak, "x"))

    nursery.start_soon(background)
    with trio.fail_after(60):
        while not answers:
            await trio.sleep(0.001)


async def test_a_failure_in_a_flow_leaves_the_place_as_it_was(runtime: Runtime) -> None:
    @flow
    async def failing(text: str) -> str:
        raise LookupError(text)

    before = current_place.get()
    with pytest.raises(LookupError):
        await failing("x")
    with pytest.raises(LookupError):
        await runtime.run(failing, "x")
    assert current_place.get() is before


async def test_context_variables_reach_user_code_wherever_it_runs_and_threads_keep_their_changes(
    runtime: Runtime,
) -> None:
    seen.clear()
    request_id.set("request 7")
    await speak("x")
    assert seen == {"ensure": ("request 7", False), "compute": ("request 7", False), "inline": ("request 7", True)}
    assert request_id.get() == "request 7"


async def test_the_innermost_runtime_answers_unless_another_is_named() -> None:
    outer, inner = scripted(otherwise=HELLO), scripted(otherwise=HELLO)
    async with open_runtime(provider=outer, journal=None) as first:
        async with open_runtime(provider=inner, journal=None):
            await say("inner")
            await first.run(say, "outer")
        await say("outer again")
    assert [received.inputs for received in inner.received] == ["about: inner"]
    assert [received.inputs for received in outer.received] == ["about: outer", "about: outer again"]


async def test_runtimes_at_once_on_one_journal_keep_their_runs_apart(tmp_path: Path) -> None:
    async def service() -> None:
        async with open_runtime(provider=scripted(otherwise=HELLO), journal=tmp_path / "stratum.db") as runtime:
            for _ in range(4):
                assert await runtime.run(speak_often, 10) == 10

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(service)
    async with open_runtime(provider=scripted(), journal=tmp_path / "stratum.db") as runtime:
        runs = [run for run in await runtime.journal.runs() if run.name == "speak_often"]
        for run in runs:
            await runtime.journal.verify(run.run)
    assert len(runs) == 12
    assert {run.state for run in runs} == {"succeeded"}


async def test_thousands_of_requests_in_one_nursery_share_a_runtime(runtime: Runtime) -> None:
    answers: list[str] = []

    async def request(number: int) -> None:
        request_id.set(f"{number}")
        answers.append(await runtime.run(whisper, f"ANSWER {number}"))
        assert request_id.get() == f"{number}"

    async with trio.open_nursery() as nursery:
        for number in range(2000):
            nursery.start_soon(partial(request, number))
    assert sorted(answers) == sorted(f"answer {number}" for number in range(2000))
