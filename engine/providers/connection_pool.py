"""`ConnectionPool`: connections to one server; so many at once, the others wait in line."""

from __future__ import annotations

from collections import deque

import trio

from stratum.engine.providers.connection import Connection
from stratum.engine.providers.limits import KEEPALIVE_S
from stratum.engine.providers.route import Route


class ConnectionPool:
    """Whoever waits for a connection is served in turn. The one used last is used first, so that few stay warm."""

    def __init__(self, route: Route, *, max_connections: int, max_body_bytes: int) -> None:
        self._route = route
        self._max_body_bytes = max_body_bytes
        self._slots = trio.Semaphore(max_connections)
        self._idle: deque[Connection] = deque()
        self._closed = False

    async def take(self) -> Connection:
        """One that is idle and still open, or a new one; to be given back.

        Raises:
            TransportFailure: no connection could be made.
        """
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            return self._warm() or await self._connected()
        except BaseException:
            self._slots.release()
            raise

    def give_back(self, connection: Connection) -> None:
        """Keep it for another request if it can take one, else close it."""
        if not self._closed and connection.renew():
            self._idle.append(connection)
        else:
            connection.close()
        self._slots.release()

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _warm(self) -> Connection | None:
        oldest_s = trio.current_time() - KEEPALIVE_S
        while self._idle and self._idle[0].idle_since_s < oldest_s:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if not connection.stale:
                return connection
            connection.close()
        return None

    async def _connected(self) -> Connection:
        wire = await self._route.open()
        return Connection(wire, host=self._route.host, max_body_bytes=self._max_body_bytes)
