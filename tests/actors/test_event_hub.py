"""The event hub: watchers see everything they keep up with, and hold up nobody."""

from __future__ import annotations

import pytest
import trio
from tests.fakes.journals import STARTED, number_of, released
from trio.testing import wait_all_tasks_blocked

from stratum.actors.event_hub import Event, EventHub, Subscription
from stratum.contracts.records import Record


async def numbers(subscription: Subscription) -> list[int]:
    return [number_of(record) async for _, record in subscription]


async def test_a_subscriber_gets_what_is_published_while_it_watches() -> None:
    hub = EventHub()
    hub.publish("r", STARTED)
    async with hub.subscribe() as events:
        hub.publish("r", released(1))
        hub.publish("other", released(2))
        assert await events.receive() == Event("r", released(1))
        assert await events.receive() == Event("other", released(2))
        assert events.lost == 0


async def test_a_subscriber_to_one_run_gets_that_run() -> None:
    hub = EventHub()
    async with hub.subscribe("mine") as events:
        hub.publish("other", released(1))
        hub.publish("mine", released(2))
        assert (await events.receive()).record == released(2)


async def test_a_subscriber_waits_for_news() -> None:
    hub = EventHub()
    got: list[Event] = []

    async def watch(events: Subscription) -> None:
        got.append(await events.receive())

    async with hub.subscribe() as events, trio.open_nursery() as nursery:
        nursery.start_soon(watch, events)
        await wait_all_tasks_blocked()
        assert got == []
        hub.publish("r", released(1))
    assert got == [Event("r", released(1))]


async def test_a_slow_subscriber_loses_the_oldest_and_is_told_how_many() -> None:
    hub = EventHub()
    async with hub.subscribe(backlog=3) as slow, hub.subscribe() as quick:
        for number in range(10):
            hub.publish("r", released(number))
        slow.close()
        quick.close()
        assert await numbers(slow) == [7, 8, 9]
        assert slow.lost == 7
        assert await numbers(quick) == list(range(10))
        assert quick.lost == 0


async def test_after_its_block_a_subscription_ends_and_costs_nothing() -> None:
    hub = EventHub()
    async with hub.subscribe() as events:
        hub.publish("r", released(1))
    hub.publish("r", released(2))
    assert await numbers(events) == [1]
    with pytest.raises(trio.EndOfChannel):
        await events.receive()


async def test_closing_wakes_who_waits() -> None:
    hub = EventHub()
    with trio.fail_after(60):
        async with hub.subscribe() as events, trio.open_nursery() as nursery:
            nursery.start_soon(numbers, events)
            await wait_all_tasks_blocked()
            await events.aclose()


async def test_a_cancelled_wait_loses_no_event() -> None:
    hub = EventHub()
    async with hub.subscribe() as events:
        with trio.CancelScope() as scope:
            scope.cancel()
            hub.publish("r", released(1))
            await events.receive()
        assert scope.cancelled_caught
        assert (await events.receive()).record == released(1)


async def test_a_listener_hears_in_the_publishing_task_and_its_failure_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub, heard = EventHub(), list[str]()

    def broken(run: str, record: Record) -> None:
        raise LookupError("no collector")

    with hub.listen(broken), hub.listen(lambda run, record: heard.append(run)):
        hub.publish("a", STARTED)
        assert heard == ["a"]
    hub.publish("b", STARTED)
    assert heard == ["a"]
    assert "no collector" in caplog.text
