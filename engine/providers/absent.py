"""`Absent`: in place of a provider where there is none. Plans whose steps call no model need none."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import trio

from stratum.contracts.errors import NoProvider
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.providers.protocol import Answer, Request, TransportFailure


class Absent:
    """Refuses what is sent to it, in the words of why there is no provider; nothing has left, so nothing is billed."""

    name = "no provider"
    default_model = None
    free = False
    price = None
    streams = False

    def __init__(self, why: NoProvider) -> None:
        self.dialect = ResponsesDialect()
        self._why = why

    async def ready(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send(self, request: Request) -> Answer:
        await trio.lowlevel.checkpoint()
        raise self._refusal()

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        await trio.lowlevel.checkpoint()
        raise self._refusal()
        yield  # it is a generator

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        yield

    def _refusal(self) -> TransportFailure:
        return TransportFailure(reason=self._why.message, sent=False, retryable=False, fix=self._why.fix)
