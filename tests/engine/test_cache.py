"""`cache=`: equal calls are made once, and what is kept is judged anew."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Annotated

import pytest
import trio
from pydantic import Field
from tests.fakes.journals import traces
from tests.fakes.leaks import nothing_left
from trio.testing import MockClock

from stratum import (
    Budget,
    ContractDefinitionError,
    PostconditionFailed,
    Runtime,
    contract,
    flow,
    infer,
    open_runtime,
    parallel,
)
from stratum.engine.dialects.protocol import Received
from stratum.engine.providers.scripted import Reply, Scripted, scripted


@contract
class Word:
    text: str
    count: int = 0


least = 0


@infer(intent="Say a word", cache="session")
def say(about: str) -> Word: ...


@contract
class Changed:
    text: str
    count: Annotated[int, Field(le=1000)]


@infer(intent="Say a word", cache="global", ensure=lambda word: word.count >= least, retries=0)
def keep(about: str) -> Word: ...


@flow
async def say_thrice(about: str) -> list[Word]:
    first = await say(about)
    return [first, *await parallel(say(about), say("else"))]


@asynccontextmanager
async def session(provider: Scripted, journal: Path | None = None, model: str = "gpt-4o") -> AsyncGenerator[Runtime]:
    async with nothing_left(), open_runtime(provider=provider, journal=journal, model=model) as runtime:
        yield runtime


async def says_the_same_again(word: Word) -> bool:
    return (await say_surely(word.text)).text == word.text


@infer(intent="Say a word", cache="session", ensure=says_the_same_again, retries=1)
def say_surely(about: str) -> Word: ...


async def test_a_condition_that_makes_the_same_call_does_not_wait_for_itself(autojump_clock: MockClock) -> None:
    provider = words()
    async with session(provider):
        with (
            pytest.raises(PostconditionFailed, match="a condition of say_surely makes the same call"),
            trio.fail_after(60),
        ):
            await say_surely("w")
        assert len(provider.requests) == 2
        with pytest.raises(PostconditionFailed), trio.fail_after(60):
            await say_surely("w")  # the turn was given back


async def needs_the_second(word: Word) -> bool:
    return (await say_second(word.text)).text == word.text


async def needs_the_first(word: Word) -> bool:
    return (await say_first(word.text)).text == word.text


@infer(intent="Say a word", cache="session", ensure=needs_the_second, retries=0)
def say_first(about: str) -> Word: ...


@infer(intent="Say a word", cache="global", ensure=needs_the_first, retries=0)
def say_second(about: str) -> Word: ...


@flow
async def say_both(about: str) -> list[Word]:
    return [*await parallel(say_first(about), say_second(about))]


async def test_calls_whose_conditions_need_each_other_do_not_wait_for_ever(autojump_clock: MockClock) -> None:
    async with session(words()):
        with pytest.raises(PostconditionFailed, match="leave cache= out of one of them"), trio.fail_after(60):
            await say_both("w")


async def needs_the_plain_one(word: Word) -> bool:
    return (await say(word.text)).text == word.text


@infer(intent="Say a word", cache="session", ensure=needs_the_plain_one, retries=0)
def say_after_the_plain_one(about: str) -> Word: ...


@flow
async def say_with_the_plain_one(about: str) -> list[Word]:
    return [*await parallel(say(about), say_after_the_plain_one(about), say_after_the_plain_one(about))]


async def test_a_condition_waits_for_a_call_at_work_that_needs_nothing_of_it(autojump_clock: MockClock) -> None:
    provider = words()
    async with session(provider):
        plain, *others = await say_with_the_plain_one("w")
    assert others[0] == others[1] and plain != others[0]
    assert len(provider.requests) == 2


def words() -> Scripted:
    counter = iter(range(100))

    def counted(received: Received) -> Reply:
        return Reply(value=Word(text="w", count=next(counter)), delay_s=1)

    return scripted(otherwise=counted)


async def test_an_equal_call_of_the_same_flow_is_a_hit_and_another_flow_asks_anew(autojump_clock: MockClock) -> None:
    """CASES F9."""
    provider = words()
    async with session(provider):
        first = await say_thrice("x")
        assert first[0] == first[1] != first[2]
        assert len(provider.requests) == 2
        await say_thrice("x")
    assert len(provider.requests) == 4


async def test_a_hit_is_traced_as_one_and_costs_nothing(autojump_clock: MockClock) -> None:
    """CASES F11."""
    async with session(words()) as runtime:
        await say_thrice("x")
        found = await traces(runtime, "say_thrice")
    (hit,) = [trace for trace in found if trace.cache_hit]
    assert (hit.attempts, hit.cost_usd, hit.cost_picousd, hit.input_tokens) == (0, 0.0, 0, 0)
    assert hit.output == {"text": "w", "count": 0}


async def test_the_key_has_function_prompt_model_and_contract(autojump_clock: MockClock, tmp_path: Path) -> None:
    """CASES F10: another session of the project hits; another model, input, function or contract does not."""
    journal = tmp_path / "journal.db"

    @infer(intent="Say a word", cache="global")
    def other(about: str) -> Word: ...

    def changed(about: str) -> Changed: ...

    changed.__name__, changed.__qualname__ = keep.function.__name__, keep.function.__qualname__
    keep_changed = infer(intent="Say a word", cache="global")(changed)

    async with session(words(), journal):
        assert (await keep("x")).count == 0
    provider = words()
    async with session(provider, journal):
        assert (await keep("x")).count == 0
        assert provider.requests == []
        await keep("y")
        await other("x")
        assert len(provider.requests) == 2
        await keep_changed("x")
        assert len(provider.requests) == 3
    async with session(provider, journal, model="gpt-4.1"):
        await keep("x")
    assert len(provider.requests) == 4


async def test_what_is_kept_has_to_satisfy_the_condition_of_today(autojump_clock: MockClock, tmp_path: Path) -> None:
    """CASES F11."""
    global least
    journal = tmp_path / "journal.db"
    async with session(words(), journal):
        await keep("x")
    least = 5
    try:
        async with session(scripted(Word(text="w", count=3), Word(text="w", count=7)), journal):
            with pytest.raises(PostconditionFailed):
                await keep("x")
            assert (await keep("x")).count == 7
    finally:
        least = 0
    async with session(scripted(), journal):
        assert (await keep("x")).count == 7


async def test_equal_calls_at_once_are_made_once(autojump_clock: MockClock) -> None:
    """CASES F10: the others wait, and hold none of the budget meanwhile."""

    @flow(budget=Budget(usd=0.02))
    async def hundred() -> set[int]:
        return {word.count for word in await parallel(*[keep("x") for _ in range(100)])}

    provider = words()
    async with session(provider):
        assert await hundred() == {0}
    assert len(provider.requests) == 1


async def test_when_the_one_that_asks_is_stopped_the_next_has_its_turn(autojump_clock: MockClock) -> None:
    counts: list[int] = []

    async def ask() -> None:
        counts.append((await keep("x")).count)

    provider = words()
    async with session(provider), trio.open_nursery() as nursery:
        with trio.move_on_after(0.5):
            nursery.start_soon(ask)
            async with trio.open_nursery() as inner:
                inner.start_soon(ask)
                await trio.sleep_forever()
    assert len(counts) == 1 and len(provider.requests) <= 2


async def test_a_damaged_file_is_a_miss(
    autojump_clock: MockClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "answers.db").write_bytes(b"no database" * 100)
    async with session(words(), tmp_path / "journal.db"):
        assert (await keep("x")).count == 0
    assert "cannot be read" in caplog.text


async def test_the_file_is_its_owners_alone(autojump_clock: MockClock, tmp_path: Path) -> None:
    async with session(words(), tmp_path / "journal.db"):
        await keep("x")
    file = tmp_path / "answers.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM answers").fetchone() == (1,)
    connection.close()


def test_samples_are_not_cached() -> None:
    def function(about: str) -> Word: ...  # type: ignore[empty-body]

    with pytest.raises(ContractDefinitionError, match="the same one"):
        infer(intent="x", cache="global", quorum=3, agree_on="text", threshold=2)(function)
    with pytest.raises(ContractDefinitionError, match="cache='forever'"):
        infer(intent="x", cache="forever")(function)  # type: ignore[arg-type]


@pytest.mark.parametrize("altered", ["a text", 7, b'{"count": "x"}', b"{"])
async def test_an_answer_that_something_else_has_altered_is_a_miss(
    autojump_clock: MockClock, tmp_path: Path, altered: object
) -> None:
    async with session(words(), tmp_path / "journal.db"):
        await keep("x")
    with closing(sqlite3.connect(tmp_path / "answers.db")) as answers, answers:
        answers.execute("UPDATE answers SET output = ?", (altered,))
    provider = words()
    async with session(provider, tmp_path / "journal.db"):
        assert (await keep("x")).count == 0
    assert len(provider.requests) == 1
