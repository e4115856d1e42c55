"""`Connection`: one request after another over one stream; h11 reads what comes back, so that nothing malformed passes."""

from __future__ import annotations

import select
from collections.abc import AsyncGenerator, Mapping

import h11
import trio

from stratum.engine.providers.failure import broken
from stratum.engine.providers.limits import refuse_body, too_long
from stratum.engine.providers.protocol import Departure, TransportFailure
from stratum.engine.providers.route import MOST_HEADER_BYTES, Wire

READ_BYTES = 65536
MOST_INTERIM_ANSWERS = 32
"""Of status 1xx, before the real one: a server could go on with them for ever."""

# What h11 has to know of a request to read its answer: its method, and that it is complete. The bytes are our own.
_REQUEST = h11.Request(method="POST", target="/", headers=[("Host", "h"), ("Content-Length", "0")])
_END = h11.EndOfMessage()


class Connection:
    """`max_body_bytes` is the longest answer that is taken; `host` is for failures."""

    def __init__(self, wire: Wire, *, host: str, max_body_bytes: int) -> None:
        self._stream = wire.stream
        self._receive = wire.receive
        self._socket = wire.socket
        self._host = host
        self._max_body_bytes = max_body_bytes
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEADER_BYTES)
        self.idle_since_s = 0.0

    async def begin(self, request: bytes, departure: Departure) -> tuple[int, Mapping[str, str]]:
        """Send a request, its head and body in one, and receive the answer's status and headers.

        Raises:
            TransportFailure: there is none, or it announces a body that is not wanted.
        """
        self._http.send(_REQUEST)
        self._http.send(_END)
        await trio.lowlevel.checkpoint_if_cancelled()
        departure.leaves()
        unsent: trio.BrokenResourceError | None = None
        try:
            await self._stream.send_all(request)
        except trio.BrokenResourceError as error:
            # A server may answer, and hang up, before it has read it all.
            unsent = error
        try:
            return await self._head()
        except (OSError, trio.BrokenResourceError) as error:
            raise broken(unsent or error, host=self._host) from (unsent or error)
        except h11.RemoteProtocolError as error:
            raise broken(error, host=self._host) from error

    async def body(self) -> AsyncGenerator[bytes]:
        """The rest of the answer, as it comes.

        Raises:
            TransportFailure: it breaks off, or is longer than it may be.
        """
        received = 0
        try:
            while True:
                event = await self._event()
                if type(event) is h11.EndOfMessage:
                    return
                assert isinstance(event, h11.Data)
                received += len(event.data)
                if received > self._max_body_bytes:
                    raise too_long(self._max_body_bytes)
                yield bytes(event.data)
        except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError) as error:
            raise broken(error, host=self._host) from error

    def renew(self) -> bool:
        """Make ready for another request; False where the server, or what it sent, rules that out."""
        http = self._http
        if (
            http.their_state is not h11.DONE  # first, as it is so of a call that is stopped
            or http.our_state is not h11.DONE
            or http.trailing_data[0]
            or self._socket.fileno() == -1
        ):
            return False
        http.start_next_cycle()
        self.idle_since_s = trio.current_time()
        return True

    @property
    def stale(self) -> bool:
        """The server has closed it while it was idle, or said something nobody had asked."""
        return _readable(self._socket.fileno())

    def close(self) -> None:
        """At once: without waiting, and without the goodbye of TLS. Again does nothing."""
        self._socket.close()

    async def _head(self) -> tuple[int, Mapping[str, str]]:
        for _ in range(MOST_INTERIM_ANSWERS + 1):
            event = await self._event(first=True)
            if type(event) is h11.Response:
                return event.status_code, self._checked(event)
        raise TransportFailure(reason=f"{self._host} sent interim answers without end", sent=True)

    def _checked(self, answer: h11.Response) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, value in answer.headers:
            refuse_body(name, value, max_body_bytes=self._max_body_bytes)
            headers[name.decode("latin-1")] = value.decode("latin-1")
        return headers

    async def _event(self, *, first: bool = False) -> object:
        http = self._http
        while (event := http.next_event()) is h11.NEED_DATA:
            received = await self._receive(READ_BYTES)
            if first and not received and http.their_state is h11.SEND_RESPONSE:
                raise h11.RemoteProtocolError("Server disconnected without sending a response.")
            http.receive_data(bytes(received))
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):  # pragma: no cover  # not in these states
            raise h11.RemoteProtocolError(f"unexpected {event}")
        return event


if hasattr(select, "poll"):

    def _readable(descriptor: int) -> bool:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

else:  # pragma: no cover  # Windows

    def _readable(descriptor: int) -> bool:
        return bool(select.select([descriptor], [], [], 0)[0])
