"""The actor: one message at a time, typed answers, and an answer for everybody when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from stratum.actors.actor import Actor, Message
from stratum.actors.supervisor import open_supervisor
from stratum.contracts.errors import ActorClosed, UnknownRun


@dataclass
class Add(Message[int]):
    """Add, and answer with the sum so far."""

    amount: int
    takes_s: float = 0


@dataclass
class Note(Message[None]):
    text: str


@dataclass
class Refuse(Message[None]):
    """Answered with an error."""


@dataclass
class Crash(Message[None]):
    """A bug in the handler."""


class Counter(Actor[Add | Note | Refuse | Crash]):
    def __init__(self, *, mailbox: int = 64) -> None:
        super().__init__(name="counter", mailbox=mailbox)
        self.sum = 0
        self.notes: list[str] = []

    async def handle(self, message: Add | Note | Refuse | Crash) -> object:
        match message:
            case Add(amount, takes_s):
                before = self.sum
                await trio.sleep(takes_s)
                self.sum = before + amount
                return self.sum
            case Note(text):
                self.notes.append(text)
            case Refuse():
                raise UnknownRun(run="r")
            case Crash():
                raise ZeroDivisionError
        return None


async def test_an_ask_is_answered_with_the_type_its_message_names() -> None:
    counter = Counter()
    async with open_supervisor(name="test") as supervisor:
        supervisor.start(counter.run, name="counter", policy="stop")
        answer = await counter.ask(Add(2))
        assert_type(answer, int)
        assert answer == 2
        assert await counter.ask(Add(3)) == 5


async def test_messages_are_handled_to_their_end_one_after_another(autojump_clock: MockClock) -> None:
    counter = Counter()
    async with open_supervisor(name="test") as supervisor:
        supervisor.start(counter.run, name="counter", policy="stop")
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(counter.ask, Add(1, takes_s=1))
    assert counter.sum == 10, "two at a time would have overwritten each other's sum"
    assert trio.current_time() == 10.0


async def test_a_tell_waits_only_for_room_in_the_mailbox(autojump_clock: MockClock) -> None:
    counter = Counter(mailbox=2)
    async with open_supervisor(name="test") as supervisor:
        supervisor.start(counter.run, name="counter", policy="stop")
        await wait_all_tasks_blocked()
        for _ in range(3):
            await counter.tell(Add(1, takes_s=1))
        assert trio.current_time() == 0.0
        await counter.tell(Add(1, takes_s=1))
        assert trio.current_time() == 1.0


async def test_an_error_raised_on_purpose_is_the_answer_and_the_actor_goes_on() -> None:
    counter = Counter()
    async with open_supervisor(name="test") as supervisor:
        supervisor.start(counter.run, name="counter", policy="stop")
        with pytest.raises(UnknownRun):
            await counter.ask(Refuse())
        assert await counter.ask(Add(1)) == 1


async def test_a_crash_is_told_to_who_asked_and_the_mailbox_is_kept() -> None:
    counter = Counter()
    told: list[ActorClosed] = []

    async def ask_to_crash() -> None:
        with pytest.raises(ActorClosed, match="counter closed before it answered Crash") as caught:
            await counter.ask(Crash())
        told.append(caught.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_to_crash)
        await wait_all_tasks_blocked()
        await counter.tell(Note("kept"))
        async with open_supervisor(name="test") as supervisor:
            supervisor.start(counter.run, name="counter", policy="restart")
            assert await counter.ask(Add(1)) == 1
    assert counter.notes == ["kept"]
    assert isinstance(told[0].__cause__, ZeroDivisionError)


async def test_a_closed_actor_handles_what_it_has_and_takes_no_more() -> None:
    counter = Counter()
    await counter.tell(Note("one"))
    await counter.tell(Note("two"))
    counter.close()
    await counter.run()
    assert counter.notes == ["one", "two"]
    with pytest.raises(ActorClosed):
        await counter.tell(Note("three"))
    with pytest.raises(ActorClosed):
        await counter.ask(Add(1))


async def test_everybody_in_the_mailbox_is_answered_when_the_actor_is_cancelled(autojump_clock: MockClock) -> None:
    counter = Counter(mailbox=2)
    refused: list[int] = []

    async def ask(number: int) -> None:
        with pytest.raises(ActorClosed, match="the runtime is shutting down"):
            await counter.ask(Add(number, takes_s=100))
        refused.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(ask, number)
        with trio.move_on_after(1):
            await counter.run()
    assert sorted(refused) == [0, 1, 2, 3, 4], "one being handled, two in the mailbox, two waiting for room"
    assert trio.current_time() == 1.0


async def test_an_ask_that_is_cancelled_is_handled_all_the_same(autojump_clock: MockClock) -> None:
    counter = Counter()
    async with open_supervisor(name="test") as supervisor:
        supervisor.start(counter.run, name="counter", policy="stop")
        with trio.move_on_after(1):
            await counter.ask(Add(1, takes_s=5))
        assert await counter.ask(Add(1)) == 2
