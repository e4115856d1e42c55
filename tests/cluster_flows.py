"""Steps for the tests of clusters: in a module of their own, which workers import."""

from __future__ import annotations

import os
import time
from pathlib import Path

import trio

from stratum import Budget, ProviderError, await_human, compute, contract, flow, infer, parallel, race
from stratum.cluster import on_cluster


@contract
class Word:
    text: str


@infer(intent="Say a word", max_output_tokens=500)
def say(about: str) -> Word: ...


@compute
def where(text: str) -> int:
    """The process that it runs in."""
    return os.getpid()


@compute(process=True)
def process_of(text: str) -> int:
    return os.getpid()


@compute(process=True)
def double(number: int) -> int:
    return 2 * number


@compute(process=True)
def divide(number: int, by: int) -> float:
    return number / by


class PicklesNot(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


@compute(process=True)
def fail_oddly(text: str) -> str:
    raise PicklesNot("cannot", text)


@compute(process=True)
def write_and_wait(folder: str, seconds: float) -> int:
    """Leaves a file named for its process, one more each time, and takes its time the first time."""
    begun = Path(folder)
    earlier = len(list(begun.iterdir()))
    (begun / f"{os.getpid()}").touch()
    if not earlier:
        time.sleep(seconds)
    return earlier


@compute(process=True)
async def say_twice(about: str) -> str:
    return (await say(about)).text + (await say(about + "!")).text


@flow(budget=Budget(usd=1.0))
async def chat(about: str) -> str:
    first = await say(about)
    second = await say(first.text)
    return f"{first.text}, {second.text}"


@flow(budget=Budget(usd=1.0))
async def chat_slowly(about: str, seconds: float) -> str:
    first = await say(about)
    await trio.sleep(seconds)
    second = await say(first.text)
    return f"{first.text}, {second.text}"


@flow(budget=Budget(usd=1.0))
async def chat_at_once(about: str, times: int) -> list[str]:
    words = await parallel(*(say(f"{about} {number}") for number in range(times)))
    return [word.text for word in words]


@flow(budget=Budget(usd=1.0))
async def first_of(abouts: list[str]) -> str:
    return (await race(*(say(about) for about in abouts))).text


@flow(budget=Budget(usd=1.0))
async def inner_chat(about: str) -> str:
    return (await chat(about)) + "; " + (await chat(about))


@flow(budget=Budget(usd=1.0))
async def processes(text: str) -> list[int]:
    return [os.getpid(), await where(text), await process_of(text)]


@flow(budget=Budget(usd=1.0))
async def gives_up(about: str, seconds: float) -> str:
    with trio.move_on_after(seconds):
        return (await say(about)).text
    return "gave up"


@flow(budget=Budget(usd=1.0))
async def cleans_up(folder: str) -> str:
    (Path(folder) / f"{os.getpid()}").touch()
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.01)
            (Path(folder) / "cleaned up").touch()


@flow(budget=Budget(ms=5000))
async def hangs_beyond_its_deadline(folder: str) -> str:
    (Path(folder) / f"{os.getpid()}").touch()
    time.sleep(3600)  # noqa: ASYNC251 - the event loop hangs: that is the point
    return "never"


@compute(process=True)
def wrong_result(text: str) -> int:
    return text  # type: ignore[return-value]  # that is the point


@flow(budget=Budget(usd=1.0))
async def tries_again(about: str) -> str:
    try:
        return (await say(about)).text
    except ProviderError as error:
        return (await say(error.message)).text


@flow(budget=Budget(usd=1.0))
async def stays(about: str) -> str:
    with trio.CancelScope(shield=True):
        await trio.sleep(1000)
    return about


@flow(budget=Budget(usd=1.0, ms=1000))
async def chat_in_a_second(about: str) -> str:
    return (await say(about)).text


@flow
async def say_once(about: str) -> str:
    return (await say(about)).text


@flow(budget=Budget(usd=0.02))
async def twenty_there() -> list[str]:
    return list(await parallel(*(on_cluster(say_once)(f"{number}") for number in range(20))))


@flow(budget=Budget(usd=0.02))
async def twenty_at_once() -> list[str]:
    return [word.text for word in await parallel(*(say(f"{number}") for number in range(20)))]


@flow(budget=Budget(usd=0.0085))
async def two_only(seconds: float) -> str:
    """The budget affords two of these."""
    first = await say("one")
    await trio.sleep(seconds)
    return first.text + (await say("two")).text + (await say("three")).text


@flow(budget=Budget(usd=1.0))
async def two_within(seconds: float) -> str:
    return await two_only(seconds)


@flow(budget=Budget(usd=1.0))
async def long_way(seconds: float) -> list[str]:
    """A bit of everything, with pauses."""
    first = await say("start")
    await trio.sleep(seconds)
    several = await parallel(*(say(f"{first.text} {number}") for number in range(3)))
    chats = await parallel(*(chat(word.text) for word in several))
    await trio.sleep(seconds)
    return [first.text, *chats, await say_once("end")]


@flow(budget=Budget(usd=1.0))
async def asks_somebody(question: str) -> str:
    return (await await_human(question)).value


@flow(budget=Budget(usd=1.0))
async def streams(about: str) -> str:
    async with say.stream(about) as stream:
        async for _ in stream:
            pass
    return about


@flow(budget=Budget(usd=1.0))
async def calls_its_own(about: str) -> int:
    @compute
    def local(text: str) -> int:
        return len(text)

    return await local(about)


@flow(budget=Budget(usd=1.0))
async def chat_around_a_wait(about: str, folder: str, seconds: float) -> str:
    """As `chat`; leaves a file named for its process, and waits the first time."""
    first = await say(about)
    begun = Path(folder)
    earlier = len(list(begun.iterdir()))
    (begun / f"{os.getpid()}").touch()
    if not earlier:
        await trio.sleep(seconds)
    return f"{first.text}, {(await say(first.text)).text}"
