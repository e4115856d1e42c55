"""`EventHub`: what just happened, for those who watch: progress lines, live pages, the MCP server.

The journal is what counts; the hub only shows. So nobody who watches can hold up the work: one who falls behind
loses the oldest events, and is told how many.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import trio

from stratum.contracts.records import Record

BACKLOG = 1000
"""Events that wait for a subscriber before the oldest are dropped."""


Listener = Callable[[str, Record], None]
"""Called with the run's id and the record."""
_LOG = logging.getLogger("stratum")


class Event(NamedTuple):
    """One record of one run."""

    run: str
    record: Record


class Subscription(trio.abc.ReceiveChannel[Event]):
    """What one subscriber gets: `async for run, record in subscription`. Ends when the hub closes."""

    def __init__(self, *, run: str | None, backlog: int) -> None:
        self.lost = 0
        """Events dropped so far because this subscriber was slow."""
        self._run = run
        self._waiting: deque[Event] = deque(maxlen=backlog)
        self._news = trio.Event()
        self._closed = False

    async def receive(self) -> Event:
        """The oldest event not yet received; waits for one.

        Raises:
            trio.EndOfChannel: closed, and everything was received.
        """
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._closed:
                raise trio.EndOfChannel
            self._news = trio.Event()
            await self._news.wait()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._news.set()

    def offer(self, event: Event) -> None:
        if self._run is not None and self._run != event.run:
            return
        self.lost += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(event)
        self._news.set()


class EventHub:
    """Passes records on to whoever subscribed to their run."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._listeners: tuple[Listener, ...] = ()

    def publish(self, run: str, record: Record) -> None:
        """Show the record to its subscribers and listeners. Does not checkpoint."""
        for listener in self._listeners:
            try:
                listener(run, record)
            except Exception:  # noqa: BLE001 - whoever watches may not change what is watched
                _LOG.exception("a listener failed; it goes on hearing")
        if self._subscriptions:
            event = Event(run, record)
            for subscription in self._subscriptions:
                subscription.offer(event)

    @contextmanager
    def listen(self, listener: Listener) -> Generator[None]:
        """Call `listener` with every record, in the task that appends it, for as long as the block lasts: be quick.

        What it raises is logged, and changes nothing. May be called from any thread.
        """
        self._listeners = (*self._listeners, listener)
        try:
            yield
        finally:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

    @asynccontextmanager
    async def subscribe(self, run: str | None = None, *, backlog: int = BACKLOG) -> AsyncGenerator[Subscription, None]:
        """Events from now on, of one run or of all, for as long as the block lasts."""
        subscription = Subscription(run=run, backlog=backlog)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            subscription.close()
