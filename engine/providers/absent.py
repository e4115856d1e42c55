"""`Absent`: in place of a provider where there is none. What calls no model needs none."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import trio

from stratum.contracts.errors import NoProvider
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.providers.protocol import Answer, Request


class Absent:
    """Refuses every call, in the words of why there is no provider; nothing leaves, so nothing is billed."""

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
        raise self.refusal()

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        await trio.lowlevel.checkpoint()
        raise self.refusal()
        yield  # it is a generator

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        yield

    def refusal(self) -> NoProvider:
        """Why there is none: to be raised, by each call a copy of its own."""
        return copy.copy(self._why)
