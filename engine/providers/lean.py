"""The lean transport: HTTP/1.1 by h11 on trio's streams, for servers that want nothing but a key.

    LeanSession ──▶ ConnectionPool ──▶ Connection ──▶ Route ──▶ sockets, TLS, proxies

It sends what the SDK would send, at a tenth of the CPU, and imports neither openai nor, without TLS, httpx2. It can also
tell whether a request has left.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from importlib.metadata import version
from urllib.parse import quote, urlsplit

import h11

from stratum.contracts.errors import ProviderError
from stratum.engine.dialects.sse import EventParser
from stratum.engine.providers.connection import Connection
from stratum.engine.providers.connection_pool import ConnectionPool
from stratum.engine.providers.limits import affordable_connections
from stratum.engine.providers.protocol import Answer, Request, StatusError
from stratum.engine.providers.route import Route

_FRAMING = frozenset(("content-length", "transfer-encoding", "connection", "host"))
"""Headers that say where a message ends, and whom it is for: ours alone."""


class LeanSession:
    """An open pool. Used from many tasks at once."""

    def __init__(self, pool: ConnectionPool, *, route: Route, url: str, key: str) -> None:
        self.host = route.host
        self._pool = pool
        self._key = key.encode()
        self._target = _target(url, forwarded=route.forwarded, authority=route.authority)
        self._headers = _checked(_headers(key, os.environ, route=route))
        self._heads: dict[tuple[str, bool], bytes] = {}

    async def send(self, request: Request) -> Answer:
        """The answer, whatever its status.

        Raises:
            TransportFailure: no complete answer.
        """
        request.departure.waits()
        connection = await self._pool.take()
        try:
            status, headers = await connection.begin(self._bytes(request), request.departure)
            return await self._received(connection, status, headers)
        finally:
            self._pool.give_back(connection)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The data of each server-sent event.

        Raises:
            StatusError: the answer's status is an error.
            TransportFailure: no complete answer.
        """
        request.departure.waits()
        connection = await self._pool.take()
        try:
            status, headers = await connection.begin(self._bytes(request), request.departure)
            if not 200 <= status < 300:
                raise StatusError(answer=await self._received(connection, status, headers))
            async with aclosing(_events(connection)) as events:
                yield events
        finally:
            self._pool.give_back(connection)

    async def _received(self, connection: Connection, status: int, headers: Mapping[str, str]) -> Answer:
        parts = [part async for part in connection.body()]
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if not 200 <= status < 300:
            # Some servers quote the key they refuse.
            body = body.replace(self._key, b"***")
        return Answer(status=status, headers=headers, body=body)

    def _bytes(self, request: Request) -> bytes:
        kind = request.path, request.streamed
        head = self._heads.get(kind)
        if head is None:
            head = self._heads[kind] = self._head(*kind)
        return b"%b%d\r\n\r\n%b" % (head, len(request.body), request.body)

    def _head(self, path: str, streamed: bool) -> bytes:
        """Everything up to the length of the body, which alone differs between requests."""
        headers = self._headers | {"Accept": "text/event-stream"} if streamed else self._headers
        target = self._target + path
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")


@asynccontextmanager
async def open_lean_session(
    url: str, *, key: str, max_connections: int | None, max_body_bytes: int, connect_timeout_s: float
) -> AsyncGenerator[LeanSession]:
    """Open a pool of connections to the server at `url`.

    No reads are timed out here: the caller's cancel scope ends a call, and closes its connection.

    Raises:
        ProviderError: the environment names a proxy that cannot be used.
    """
    route = Route(url, connect_timeout_s=connect_timeout_s)
    pool = ConnectionPool(
        route, max_connections=max_connections or affordable_connections(), max_body_bytes=max_body_bytes
    )
    try:
        yield LeanSession(pool, route=route, url=url, key=key)
    finally:
        pool.close()


async def _events(connection: Connection) -> AsyncGenerator[bytes]:
    parser = EventParser()
    async with aclosing(connection.body()) as parts:
        async for part in parts:
            for event in parser.feed(part):
                yield event


def _target(url: str, *, forwarded: bool, authority: str) -> str:
    parts = urlsplit(url)
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
    return f"{parts.scheme}://{authority}{path}" if forwarded else path


def _headers(key: str, environ: Mapping[str, str], *, route: Route) -> dict[str, str]:
    """As the SDK's, but for those in which it describes itself; OPENAI_CUSTOM_HEADERS replace others, as there."""
    headers = {
        "Host": route.authority,
        "Connection": "keep-alive",
        # A bomb of 194 KB can unpack to 200 MB.
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {key}",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"stratum-runtime/{version('stratum-runtime')}",
    }
    for name, variable in (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")):
        if value := environ.get(variable):
            headers[name] = value
    for line in environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() not in _FRAMING:
            headers = _replaced(headers, name.strip(), value.strip())
    if route.credentials:
        headers = _replaced(headers, "Authorization", route.credentials)
    if route.forwarded and route.proxy_credentials:
        headers = _replaced(headers, "Proxy-Authorization", route.proxy_credentials)
    return headers


def _replaced(headers: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    return {known: kept for known, kept in headers.items() if known.lower() != name.lower()} | {name: value}


def _checked(headers: dict[str, str]) -> dict[str, str]:
    """Refuse what would end a line early, whichever setting it came from."""
    try:
        h11.Request(method="POST", target="/", headers=list(headers.items()))
    except (h11.LocalProtocolError, UnicodeEncodeError):
        # Without the cause, which may quote the key.
        raise ProviderError(
            provider="stratum",
            message="the environment has a header that cannot be sent",
            fix="check OPENAI_CUSTOM_HEADERS, OPENAI_ORG_ID and OPENAI_PROJECT_ID",
        ) from None
    return headers
