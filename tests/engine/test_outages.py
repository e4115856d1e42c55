"""An outage is remembered: calls that name other models do not each wait for it, and one at a time finds out whether it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from stratum import ProviderError, Runtime, infer, open_runtime
from stratum.contracts.records import CallFinished
from stratum.contracts.trace import TraceRecord
from stratum.engine.dialects.protocol import Received
from stratum.engine.outages import REST_S
from stratum.engine.providers.protocol import Answer
from stratum.engine.providers.scripted import Reply, Scripted, scripted

OVERLOADED = Answer(status=503, headers={}, body=b'{"error": {"message": "overloaded"}}')
UNKNOWN = Answer(status=404, headers={}, body=b'{"error": {"message": "no such model"}}')
WAIT_S = 0.5
"""For the one transport retry."""


@infer(intent="Say a word", model=["first", "second"])
def say(about: str) -> str: ...


@infer(intent="Say a word", model=["second", "third"])
def tell(about: str) -> str: ...


@infer(intent="Say a word", model="first")
def insist(about: str) -> str: ...


class Service:
    """Models that can be down."""

    def __init__(self, *down: str) -> None:
        self.down: dict[str, Answer] = dict.fromkeys(down, OVERLOADED)
        self.takes_s = 0.0
        self.provider: Scripted = scripted(otherwise=self._reply)

    def asked(self) -> Counter[str]:
        """Since the last time."""
        models = Counter(received.model for received in self.provider.received)
        self.provider.received.clear()
        return models

    def _reply(self, received: Received) -> Reply:
        return Reply(value=self.down.get(received.model, received.model), delay_s=self.takes_s)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Runtime]:
        async with open_runtime(
            provider=self.provider, journal=None, transport_retries=1, jitter=lambda: 1.0
        ) as runtime:
            yield runtime


async def traces(runtime: Runtime) -> Sequence[TraceRecord]:
    records = await runtime.journal.read(runtime.session)
    return [record.trace for record in records if isinstance(record, CallFinished)]


async def test_calls_after_an_outage_go_straight_to_the_next_model(autojump_clock: MockClock) -> None:
    service = Service("first")
    async with service.opened() as runtime:
        assert await say("x") == "second"
        assert trio.current_time() == WAIT_S
        assert service.asked() == {"first": 2, "second": 1}
        await trio.sleep(10)
        for _ in range(3):
            assert await say("x") == "second"
        assert trio.current_time() == WAIT_S + 10
        assert service.asked() == {"second": 3}
        first, *others = await traces(runtime)
    assert first.fallbacks == ["first: overloaded"]
    assert [trace.fallbacks for trace in others] == [["first: not asked, 10 s after overloaded"]] * 3
    assert {trace.model for trace in others} == {"second"}


async def test_one_call_at_a_time_finds_out_whether_it_is_over(autojump_clock: MockClock) -> None:
    service = Service("first")
    async with service.opened():
        await say("x")
        await trio.sleep(REST_S)
        service.takes_s = 1
        service.asked()
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(say, "x")
        assert service.asked() == {"first": 2, "second": 20}
        await trio.sleep(REST_S - 1)  # since the one that found out answered with second
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(say, "x")
        assert service.asked() == {"first": 2, "second": 20}


async def test_once_it_is_over_all_calls_ask_the_first_again(autojump_clock: MockClock) -> None:
    service = Service("first")
    async with service.opened():
        await say("x")
        service.down.clear()
        service.asked()
        assert await say("x") == "second"
        await trio.sleep(REST_S)
        assert [await say("x") for _ in range(3)] == ["first"] * 3
        assert service.asked() == {"second": 1, "first": 3}


async def test_a_call_that_is_stopped_while_it_finds_out_leaves_that_to_the_next(autojump_clock: MockClock) -> None:
    service = Service("first")
    async with service.opened():
        await say("x")
        await trio.sleep(REST_S)
        service.takes_s = 100
        service.asked()
        with trio.move_on_after(1):
            await say("x")
        service.takes_s = 0
        service.down.clear()
        assert await say("x") == "first"
        assert service.asked() == {"first": 2}


async def test_a_model_that_refuses_a_request_can_be_reached(autojump_clock: MockClock) -> None:
    service = Service("first")
    async with service.opened():
        await say("x")
        await trio.sleep(REST_S)
        service.down["first"] = UNKNOWN
        for _ in range(2):
            with pytest.raises(ProviderError, match="no such model"):
                await say("x")


async def test_the_last_model_of_a_list_and_one_alone_are_always_asked(autojump_clock: MockClock) -> None:
    service = Service("first", "second")
    async with service.opened():
        for _ in range(2):
            with pytest.raises(ProviderError, match="overloaded"):
                await say("x")
        assert service.asked() == {"first": 2, "second": 4}
        assert await tell("x") == "third"
        assert await tell("x") == "third"
        assert service.asked() == {"second": 2, "third": 2}
        with pytest.raises(ProviderError, match="overloaded"):
            await say("x")
        with pytest.raises(ProviderError, match="overloaded"):
            await insist("x")
        assert service.asked() == {"second": 2, "first": 2}


async def test_sessions_do_not_share_what_they_found(autojump_clock: MockClock) -> None:
    service = Service("first")
    for _ in range(2):
        async with service.opened():
            await say("x")
            assert service.asked() == {"first": 2, "second": 1}
