"""The embedded model: a process of our own on this machine, without a key, without a price.

Above the engine, below `stratum.engine.local`, which fetches weights and starts the process when first asked.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trio

from stratum.contracts.errors import ProviderError
from stratum.contracts.price import FREE
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.local.server import SLOTS, Endpoint, local_model
from stratum.engine.local.weights import DEFAULT, Progress, fetch, fetch_default
from stratum.engine.providers.openai import CONNECT_TIMEOUT_S, MAX_BODY_BYTES
from stratum.engine.providers.protocol import Answer, Request

if TYPE_CHECKING:
    from stratum.engine.providers.lean import LeanSession

_log = logging.getLogger("stratum.local")


class ModelServer(Protocol):
    """What runs a model: `LocalModel`, or a fake."""

    async def endpoint(self) -> Endpoint: ...


class Local:
    """The embedded model, in a process of its own.

    `model` is one of the catalogue's names; `server` is a model that is already there, in place of the catalogue's.

    At most as many requests as the process has slots are sent at once; the others wait here. A process
    that has died is started again by the next request.
    """

    name = "local"
    free = True
    streams = False
    price = FREE

    def __init__(
        self, model: str | None = None, *, server: ModelServer | None = None, progress: Progress | None = None
    ) -> None:
        # Only a response_format is constrained there, and the cap is called by its old name (llama.cpp, 2026-10).
        self.dialect = ChatDialect("json_schema", cap_field="max_tokens", takes_images=False)
        self.default_model = model or DEFAULT
        self._model = model
        self._server = server
        self._progress = progress
        self._slots = trio.CapacityLimiter(SLOTS)
        self._starting = trio.Lock()
        self._sessions: AsyncExitStack | None = None
        self._session: tuple[Endpoint, LeanSession] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        if self._sessions is not None:
            raise ProviderError(provider=self.name, message="already open", fix="make one provider for each runtime")
        async with AsyncExitStack() as self._sessions:
            try:
                yield
            finally:
                self._sessions = self._session = None

    async def ready(self) -> None:
        await self._connected()

    async def send(self, request: Request) -> Answer:
        async with self._slots:
            session = await self._connected()
            return await session.send(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        async with self._slots:
            session = await self._connected()
            async with session.stream(request) as events:
                yield events

    async def _connected(self) -> LeanSession:
        """A session with the process that runs now: after a restart it has another port and token."""
        async with self._starting:
            if self._server is None:
                self._server = local_model(await self._weights())
            endpoint = await self._server.endpoint()
            if self._session is None or self._session[0] != endpoint:
                self._session = endpoint, await self._open_session(endpoint)
            return self._session[1]

    async def _weights(self) -> Path:
        if self._model is None:
            return await fetch_default(notice=_log.warning, progress=self._progress)
        return await fetch(self._model, progress=self._progress)

    async def _open_session(self, endpoint: Endpoint) -> LeanSession:
        from stratum.engine.providers.lean import open_lean_session

        if self._sessions is None:
            raise ProviderError(
                provider=self.name, message="not open", fix="call it inside `async with provider.open()`"
            )
        self._slots.total_tokens = endpoint.slots
        return await self._sessions.enter_async_context(
            open_lean_session(
                endpoint.base_url,
                key=endpoint.token,
                max_connections=endpoint.slots,
                max_body_bytes=MAX_BODY_BYTES,
                connect_timeout_s=CONNECT_TIMEOUT_S,
            )
        )
