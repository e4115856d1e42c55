"""OpenAI, Azure, and every server that speaks their API."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from stratum.contracts.errors import ProviderError
from stratum.contracts.price import Price
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.protocol import Dialect
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.providers.protocol import Answer, Request
from stratum.engine.providers.real_network import refuse_network

if TYPE_CHECKING:
    import httpx2
    import openai

    from stratum.engine.providers.lean import LeanSession
    from stratum.engine.providers.sdk import MakeClient, SdkSession

DEFAULT_MODEL = "gpt-4.1-mini"
OFFICIAL_URL = "https://api.openai.com/v1"
MAX_BODY_BYTES = 16 * 2**20
CONNECT_TIMEOUT_S = 10.0


Transport = Literal["sdk", "lean"]


class OpenAI:
    """Calls over HTTP/1.1 of our own, or through the openai SDK's client.

    Args:
        api_key: by default `OPENAI_API_KEY`; a server that wants no key gets none.
        base_url: by default `OPENAI_BASE_URL`, else OpenAI's own server.
        api: which API, or a dialect of one's own.
        default_model: of calls that name none, in a runtime that names none.
        price: of whatever the server answers with; by default the published one.
        stream: receive answers event by event, so that one past its output cap is cut off; "auto" does where the server is
            not OpenAI's own.
        name: what prices are looked up by, by default the server's.
        client: makes the SDK's client in place of `openai.AsyncOpenAI`, and knows its own key and URL; Azure is
            `partial(AsyncAzureOpenAI, azure_endpoint=..., api_version=...)`.
        transport: by default what STRATUM_TRANSPORT says, else "lean", which sends the requests that the SDK would send at
            a fraction of the CPU, and knows whether one had left when it was cancelled. "sdk" is the SDK's client; so it
            is, unasked, with a `client` of the SDK, or where the environment names a SOCKS proxy.
        max_connections: open at a time; by default as many as the limit on open files affords.
        max_body_bytes: of an answer; a longer one is not read.
        connect_timeout_s: for a connection to be there, in seconds.

    Raises:
        ValueError: `base_url` is not an HTTP URL; `transport` is none of the two, or "lean" with a `client` of the SDK.
        ProviderError: OpenAI's own server, and no key that could be sent; or STRATUM_TRANSPORT is none of the two.
    """

    free = False

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        api: Literal["responses", "chat"] | Dialect = "responses",
        default_model: str | None = DEFAULT_MODEL,
        price: Price | None = None,
        stream: bool | Literal["auto"] = False,
        name: str | None = None,
        client: MakeClient | None = None,
        transport: Transport | None = None,
        max_connections: int | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        url = base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL_URL
        server = "azure" if client else server_name(url)
        self.name = name or server
        self.dialect: Dialect = _dialect(api) if isinstance(api, str) else api
        self.default_model = default_model
        self.price = price
        self.streams = stream is True or (stream == "auto" and server != "openai")
        self._key = _checked_key(api_key or os.environ.get("OPENAI_API_KEY") or "", server=server)
        self._url = url
        self._transport = _checked_transport(transport, client)
        self._client = client or self._sdk_client
        self._max_connections = max_connections
        self._max_body_bytes = max_body_bytes
        self._connect_timeout_s = connect_timeout_s
        self._session: SdkSession | LeanSession | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        if self._session is not None:
            raise ProviderError(provider=self.name, message="already open", fix="make one provider for each runtime")
        async with self._open_session() as self._session:
            try:
                yield
            finally:
                self._session = None

    def _open_session(self) -> AbstractAsyncContextManager[SdkSession | LeanSession]:
        if (self._transport or _usual_transport(self._url)) == "lean":
            from stratum.engine.providers.lean import open_lean_session

            return open_lean_session(
                self._url,
                key=self._key,
                max_connections=self._max_connections,
                max_body_bytes=self._max_body_bytes,
                connect_timeout_s=self._connect_timeout_s,
            )
        from stratum.engine.providers.sdk import open_session

        return open_session(
            self._client,
            path=self.dialect.path,
            max_connections=self._max_connections,
            max_body_bytes=self._max_body_bytes,
            connect_timeout_s=self._connect_timeout_s,
        )

    async def ready(self) -> None:
        pass

    async def send(self, request: Request) -> Answer:
        return await self._opened().send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._opened().stream(request)

    def _opened(self) -> SdkSession | LeanSession:
        if self._session is None:
            raise ProviderError(
                provider=self.name, message="not open", fix="call it inside `async with provider.open()`"
            )
        refuse_network(self.name, self._session.host)
        return self._session

    def _sdk_client(self, *, http_client: httpx2.AsyncClient, max_retries: int) -> openai.AsyncOpenAI:
        import openai

        return openai.AsyncOpenAI(
            api_key=self._key, base_url=self._url, http_client=http_client, max_retries=max_retries
        )


def _dialect(api: Literal["responses", "chat"]) -> Dialect:
    return ResponsesDialect() if api == "responses" else ChatDialect()


def _checked_transport(transport: Transport | None, client: MakeClient | None) -> Transport | None:
    """`None`: nobody has said."""
    if client is not None:
        if transport == "lean":
            raise ValueError('transport="lean" makes no use of client=; drop one of the two')
        return "sdk"
    if transport is None:
        return transport_named(os.environ.get("STRATUM_TRANSPORT") or "")
    if transport not in ("sdk", "lean"):
        raise ValueError(f'transport={transport!r} is neither "sdk" nor "lean"; pass one of them')
    return transport


def _usual_transport(url: str) -> Transport:
    from stratum.engine.providers.proxy import proxy_for

    parts = urlsplit(url)
    proxy = proxy_for(parts.scheme, parts.hostname or "") or ""
    return "sdk" if proxy.startswith("socks") else "lean"


def transport_named(name: str) -> Transport | None:
    known: dict[str, Transport | None] = {"": None, "sdk": "sdk", "lean": "lean"}
    if name not in known:
        raise ProviderError(
            provider="stratum",
            message=f"STRATUM_TRANSPORT={name!r} is neither sdk nor lean",
            fix="set it to one of them, or unset it",
        )
    return known[name]


def server_name(url: str) -> str:
    """`openai`, `azure`, or the host: prices are never assumed to be another server's."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url={url!r} is not an HTTP URL; pass one like https://host/v1")
    known = {"openai.com": "openai", "azure.com": "azure"}
    return next((name for domain, name in known.items() if f".{parts.hostname}".endswith(f".{domain}")), parts.hostname)


def _checked_key(key: str, *, server: str) -> str:
    key = key.strip()
    if not key and server == "openai":
        raise ProviderError(provider="openai", message="no API key", fix="set OPENAI_API_KEY or pass api_key=")
    # Checked here, because the HTTP layer quotes a header that it refuses.
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ProviderError(
            provider=server, message="the API key has characters that no header can carry", fix="copy it again"
        )
    return key or "none"
