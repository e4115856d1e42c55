"""`Stream`: a call whose answer is looked at while it is being written.

The call runs in a task of the runtime's, for a generator cannot hold a budget open between two of its values; it is
stopped with the budgets around the place where it was made, and when whoever looks at it stops looking.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from stratum.contracts.partial import Partial, PartialReader
from stratum.engine.place import Place, current_place

if TYPE_CHECKING:
    from stratum.contracts.signature import Signature

R = TypeVar("R")

Watch = Callable[[int, str], None]
"""Told the attempt and all that the model has written of its answer."""


class _Feed(Generic[R]):
    """What the call and whoever looks at it share; the call does not hold the stream, so that it ends with it."""

    def __init__(self, place: Place, perform: Callable[[Watch], Awaitable[R]]) -> None:
        self.scope = trio.CancelScope()
        self.written: tuple[int, str] | None = None
        """The latest that was not looked at yet."""
        self.attempt = 1
        self.latest = ""
        self.result: R | None = None
        self.error: BaseException | None = None
        self.left = trio.Event()
        self.news = trio.Event()
        self._place = place
        self._perform = perform

    def watch(self, attempt: int, written: str) -> None:
        self.attempt, self.latest = attempt, written
        self.written = attempt, written
        self.news.set()

    async def run(self) -> None:
        current_place.set(self._place)
        try:
            with self.scope, ExitStack() as guests:
                for envelope in reversed(list(self._place.envelope.outwards())):
                    guests.enter_context(envelope.guest())
                self.result = await self._perform(self.watch)
        except Exception as error:  # noqa: BLE001 - raised where the stream is read
            self.error = error
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.left.set()
            self.news.set()


class Stream(AsyncIterator[Partial[R]], Generic[R]):
    """Made by `step.stream(...)`: `async with classify.stream(text) as partials: async for partial in partials: ...`.

    Leaving the block, or `aclose()`, stops the call and closes its connection; what it may have cost is booked.
    """

    def __init__(self, place: Place, signature: Signature[R], perform: Callable[[Watch], Awaitable[R]]) -> None:
        self._place = place
        self._reader = PartialReader(signature.returns)
        self._feed: _Feed[R] = _Feed(place, perform)
        self._started = self._ended = False

    async def __anext__(self) -> Partial[R]:
        feed = self._feed
        if self._ended:
            raise StopAsyncIteration
        if not self._started:
            self._started = True
            self._place.run.runtime.start(feed.run, name="stream")
        try:
            return await self._next(feed)
        except BaseException:
            self._ended = True
            feed.scope.cancel(reason="nobody looks at its stream any more")
            raise

    async def _next(self, feed: _Feed[R]) -> Partial[R]:
        while True:
            await feed.news.wait()
            if feed.left.is_set():
                return self._last(feed)
            feed.news = trio.Event()
            if feed.written is not None:
                (attempt, written), feed.written = feed.written, None
                return Partial(attempt=attempt, fields=self._reader.fields(written))

    def _last(self, feed: _Feed[R]) -> Partial[R]:
        self._ended = True
        if feed.error is not None:
            raise feed.error
        if feed.scope.cancelled_caught:
            raise StopAsyncIteration
        fields = self._reader.fields(feed.latest)
        return Partial(attempt=feed.attempt, fields=fields, result=feed.result)

    async def aclose(self) -> None:
        """Stop the call, if it goes on, and wait until its connection is closed."""
        self._ended = True
        self._feed.scope.cancel(reason="its stream was closed")
        if self._started:
            with trio.CancelScope(shield=True):
                await self._feed.left.wait()

    async def __aenter__(self) -> Stream[R]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # After a `break` out of `async for`: whoever looked is gone, though the block was none.
        if self._started and not self._feed.left.is_set():
            self._feed.scope.cancel(reason="nobody looks at its stream any more")
