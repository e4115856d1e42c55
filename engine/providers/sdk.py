"""The openai SDK's client over our transport: its authentication, URLs and headers, without its models.

The one module that imports openai, which takes over a second; `OpenAI` imports it when it is opened.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol, cast

import httpx2
import openai
import trio

from stratum.engine.dialects.sse import EventParser
from stratum.engine.providers.limits import KEEPALIVE_S, affordable_connections
from stratum.engine.providers.protocol import Answer, Request, StatusError
from stratum.engine.providers.proxy import proxy_for
from stratum.engine.providers.sdk_failure import transport_failure
from stratum.engine.providers.transport import CALLS_PER_SHARD, ShardedTransport, run_out


class MakeClient(Protocol):
    """`openai.AsyncOpenAI`, or a subclass, with its own arguments bound."""

    def __call__(self, *, http_client: httpx2.AsyncClient, max_retries: int) -> openai.AsyncOpenAI: ...


class SdkSession:
    """An open client. Used from many tasks at once."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client
        self.host = client.base_url.host
        self._key = client.api_key.encode()

    async def send(self, request: Request) -> Answer:
        """The answer, whatever its status.

        Raises:
            TransportFailure: no complete answer.
        """
        try:
            response = await self._client.post(request.path, content=request.body, cast_to=httpx2.Response)
        except openai.APIStatusError as error:
            return self._error_answer(error)
        except openai.APIConnectionError as error:
            raise transport_failure(error, host=self.host) from error
        return Answer(status=response.status_code, headers=_headers(response), body=response.content)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The data of each server-sent event.

        Raises:
            StatusError: the answer's status is an error.
            TransportFailure: no complete answer.
        """
        response = await self._begin(request)
        chunks = response.aiter_raw()
        try:
            async with aclosing(self._events(chunks)) as events:
                yield events
        finally:
            with trio.CancelScope(shield=True):
                await response.aclose()
                await run_out(chunks)

    async def _begin(self, request: Request) -> httpx2.Response:
        try:
            response = await self._client.post(
                request.path,
                content=request.body,
                cast_to=httpx2.Response,
                stream=True,
                stream_cls=openai.AsyncStream[Any],
                options={"headers": {"Accept": "text/event-stream"}},
            )
        except openai.APIStatusError as error:
            raise StatusError(answer=self._error_answer(error)) from error
        except openai.APIConnectionError as error:
            raise transport_failure(error, host=self.host) from error
        # `cast_to` wins over `stream_cls`, which the signature wants all the same.
        return cast("httpx2.Response", response)

    async def _events(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        parser = EventParser()
        try:
            async for chunk in chunks:
                for event in parser.feed(chunk):
                    yield event
        except httpx2.RequestError as error:
            raise transport_failure(error, host=self.host) from error

    def _error_answer(self, error: openai.APIStatusError) -> Answer:
        # Some servers quote the key they refuse.
        body = error.response.content.replace(self._key, b"***") if self._key else error.response.content
        return Answer(status=error.status_code, headers=_headers(error.response), body=body)


def _headers(response: httpx2.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw}


@asynccontextmanager
async def open_session(
    make_client: MakeClient,
    *,
    path: str,
    max_connections: int | None,
    max_body_bytes: int,
    connect_timeout_s: float,
) -> AsyncGenerator[SdkSession]:
    """Open a client and go through one request of `path` without a network, so that the first real one is not slow.

    No reads are timed out here: a per-read timeout never fires on an answer that trickles. The caller's
    cancel scope ends a call, and closes its connection.
    """
    proxy: str | None = None
    # Trusts nobody, and costs nothing: loading the authorities takes a tenth of a second, which plain HTTP can save.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def connect() -> httpx2.AsyncHTTPTransport:
        limits = httpx2.Limits(
            max_connections=CALLS_PER_SHARD,
            max_keepalive_connections=CALLS_PER_SHARD,
            keepalive_expiry=KEEPALIVE_S,
        )
        return httpx2.AsyncHTTPTransport(verify=context, limits=limits, proxy=proxy)

    transport = ShardedTransport(
        connect, max_connections=max_connections or affordable_connections(), max_body_bytes=max_body_bytes
    )
    async with httpx2.AsyncClient(
        transport=transport,
        headers={"Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=connect_timeout_s),
        # A redirect would send the prompt, and be billed, where nobody configured it to go.
        follow_redirects=False,
    ) as http:
        # Retries are the attempt loop's, inside the budget.
        client = make_client(http_client=http, max_retries=0)
        proxy = proxy_for(client.base_url.scheme, client.base_url.host)
        if client.base_url.scheme == "https":
            context = httpx2.create_ssl_context()
        await _warm_up(client, path)
        # The first one imports the connection pool: 0.1 s that no call's deadline should pay.
        await connect().aclose()
        yield SdkSession(client)


async def _warm_up(client: openai.AsyncOpenAI, path: str) -> None:
    nowhere = httpx2.MockTransport(lambda request: httpx2.Response(200))
    async with httpx2.AsyncClient(transport=nowhere) as http:
        await client.with_options(http_client=http).post(path, content=b"{}", cast_to=httpx2.Response)
