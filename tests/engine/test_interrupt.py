"""Ctrl-C: in what users wrote it comes at once, in what keeps the books at the next checkpoint."""

from __future__ import annotations

import pytest
import trio

from stratum import compute, contract, flow, infer, open_runtime
from stratum.engine.dialects.protocol import Received
from stratum.engine.providers.scripted import scripted

protected: dict[str, bool] = {}


def note(where: str) -> None:
    protected[where] = trio.lowlevel.currently_ki_protected()


@contract
class Word:
    text: str


async def judged(word: Word) -> bool:
    note("async ensure")
    await trio.lowlevel.checkpoint()
    note("async ensure, later")
    return True


@infer(intent="Say a word", ensure=[judged, lambda r: r.text != ""])
def say(about: str) -> Word: ...


@compute(inline=True)
def shout(text: str) -> str:
    note("inline compute")
    return text.upper()


@compute
async def whisper(text: str) -> str:
    await trio.lowlevel.checkpoint()
    note("async compute")
    return text.lower()


@flow
async def inner(text: str) -> str:
    note("nested flow")
    return await whisper(await shout(text))


@flow
async def outer(text: str) -> str:
    word = await say(text)
    note("flow")
    return await inner(word.text)


async def test_only_what_keeps_the_books_holds_an_interrupt_back() -> None:
    def answer(received: Received) -> Word:
        note("provider")
        return Word(text="Hello")

    protected.clear()
    async with open_runtime(provider=scripted(otherwise=answer), journal=None):
        note("block")
        assert await outer("x") == "hello"
    note("afterwards")
    assert protected.pop("provider") is True
    assert set(protected.values()) == {False}, protected


async def test_a_resumed_flow_holds_it_back_no_more_than_a_new_one() -> None:
    @flow
    async def interrupted(text: str) -> str:
        note("first" if "first" not in protected else "resumed")
        if "resumed" not in protected:
            raise KeyboardInterrupt
        return text

    protected.clear()
    async with open_runtime(provider=scripted(), journal=None) as runtime:
        with pytest.raises(KeyboardInterrupt):
            await interrupted("x")
        run = next(run.run for run in await runtime.journal.runs() if run.name == "interrupted")
        assert await runtime.resume(interrupted, run) == "x"
    assert protected == {"first": False, "resumed": False}
