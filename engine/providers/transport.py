"""An httpx2 transport for thousands of calls in flight: small pools, bounded connections, capped bodies.

Above it an httpx2 client (the openai SDK's), below it httpx2's own transports.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import httpx2
import trio

from stratum.engine.providers.limits import refuse_body, too_long
from stratum.engine.providers.protocol import TransportFailure

CALLS_PER_SHARD = 8
"""A pool looks at all its connections on every request, so pools are kept this small."""
SWEEP_S = 30.0
"""Between two looks at the idle pools, seconds: what has been idle that long is closed."""


async def run_out(parts: AsyncIterator[bytes]) -> None:
    """Run the generators behind the body of a closed response to their end.

    Closing the outermost would leave those inside httpx2 to the garbage collector. Never waits: the
    connection is closed, so at most what had already been received still comes.
    """
    with suppress(httpx2.RequestError, TransportFailure):
        async for _ in parts:
            pass


class ShardedTransport(httpx2.AsyncBaseTransport):
    """At most `max_connections` requests at once; the others wait in line, first come, first served.

    A body above `max_body_bytes`, or compressed although identity was asked for (194 KB can
    unpack to 200 MB), is a `TransportFailure`.
    """

    def __init__(
        self, make: Callable[[], httpx2.AsyncBaseTransport], *, max_connections: int, max_body_bytes: int
    ) -> None:
        self._make = make
        self._max_body_bytes = max_body_bytes
        self._slots = trio.Semaphore(max_connections)
        self._shards: list[_Shard] = []
        self._with_room: list[_Shard] = []
        self._swept_at = trio.current_time()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            await self._slots.acquire()
        shard = self._take()
        try:
            response = await shard.transport.handle_async_request(request)
        except BaseException:
            self._give_back(shard)
            raise
        body = _CappedBody(response, limit=self._max_body_bytes, on_close=lambda: self._give_back(shard))
        response.stream = body
        try:
            body.check(response.headers)
            if trio.current_time() - self._swept_at >= SWEEP_S:
                await self._sweep()
        except BaseException:
            await body.aclose()
            raise
        return response

    async def aclose(self) -> None:
        for shard in self._shards:
            await shard.transport.aclose()

    def _take(self) -> _Shard:
        # Last in, first out: while few calls are in flight they stay on few shards, whose connections are warm.
        if not self._with_room:
            shard = _Shard(self._make())
            self._shards.append(shard)
            self._with_room.append(shard)
        shard = self._with_room[-1]
        shard.load += 1
        if shard.load == CALLS_PER_SHARD:
            self._with_room.pop()
        return shard

    def _give_back(self, shard: _Shard) -> None:
        if shard.load == CALLS_PER_SHARD:
            self._with_room.append(shard)
        shard.load -= 1
        shard.used_at = trio.current_time()
        self._slots.release()

    async def _sweep(self) -> None:
        """Close the connections of pools that a burst has left idle; a pool only looks at its own when it is used."""
        self._swept_at = now = trio.current_time()
        for shard in list(self._shards):
            if shard.load == 0 and now - shard.used_at >= SWEEP_S:
                await shard.transport.aclose()


class _Shard:
    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self.transport = transport
        self.load = 0
        self.used_at = 0.0


class _CappedBody(httpx2.AsyncByteStream):
    """A response's body, cut off at `limit` bytes; closing it gives the connection back, once."""

    def __init__(self, response: httpx2.Response, *, limit: int, on_close: Callable[[], None]) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._stream = response.stream
        self._limit = limit
        self._on_close: Callable[[], None] | None = on_close

    def check(self, headers: httpx2.Headers) -> None:
        # Over the raw pairs: looking two names up in httpx2's Headers costs ten times as much.
        for name, value in headers.raw:
            refuse_body(name.lower(), value, max_body_bytes=self._limit)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = aiter(self._stream)
        received = 0
        async for part in parts:
            received += len(part)
            if received > self._limit:
                await self.aclose()
                await run_out(parts)
                raise too_long(self._limit)
            yield part

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            on_close, self._on_close = self._on_close, None
            if on_close is not None:
                on_close()
