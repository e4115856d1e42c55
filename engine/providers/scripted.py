"""A provider that answers what a test told it to, over the real wire format."""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal, TypeAlias

import msgspec
import trio

from stratum.contracts.errors import ProviderError
from stratum.contracts.json_value import json_value
from stratum.contracts.price import Price, Usage
from stratum.engine.dialects.protocol import Dialect, Finish, Received
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.providers.protocol import Answer, Request, StatusError

# USD per 1M tokens; a mid-sized model of 2026, so that USD budgets mean something in tests.
PRICE = Price.per_million(input=2, cached=0.5, output=8)

IMAGE_TOKENS = 765
"""That an image counts as in a scripted answer's usage: what gpt-4o makes of one of 1024 by 1024 pixels."""

Counted = Literal["counted"]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer in full; a plain value in a script stands for `Reply(value=...)`."""

    value: object = None
    """What the model passes to the tool: a contract instance or any value; `bytes` go as they are.

    An `Answer` is given as it is, an exception is raised.
    """
    text: str | None = None
    """The model says this instead of calling the tool."""
    tool: str | None = None
    """The function it calls; `None`: the one it was told to."""
    finish: Finish = "stop"
    usage: Usage | None | Counted = "counted"
    """`counted`: from the bytes, four to a token, the output at most the cap; `None`: the answer carries no usage."""
    delay_s: float = 0
    """Before the first byte."""
    pace_s: float = 0
    """Between two events of a stream."""


Script: TypeAlias = object
"""A `Reply`, the value of one, or a function of the request that returns either; it may be async."""


def scripted(
    *replies: Script,
    functions: Mapping[str, Sequence[Script]] | None = None,
    otherwise: Script = None,
    default_model: str = "gpt-4o",
    price: Price | None = PRICE,
    dialect: Dialect | None = None,
    streams: bool = False,
) -> Scripted:
    """A provider that gives `replies` in the order the requests come.

    Args:
        replies: values, `Reply`s, exceptions, or functions of the request that return one of these.
        functions: `{"classify": [a, b]}` keeps a script of its own for a function.
        otherwise: the reply to every request for which there is none of these; without it, such a request fails.
        default_model: of calls that name none.
        price: by default 2 and 8 USD per million tokens; `None`: not known, so that no USD budget can hold.
        dialect: the API that is spoken, by default OpenAI's Responses.
        streams: answer as a stream of events, whether the call asks for one or not.
    """
    return Scripted(
        replies=replies,
        functions=functions or {},
        otherwise=otherwise,
        default_model=default_model,
        price=price,
        dialect=dialect or ResponsesDialect(),
        streams=streams,
    )


class Scripted:
    """The provider that `scripted` makes; keeps what it was sent and what it would have billed."""

    name = "scripted"

    def __init__(
        self,
        *,
        replies: Sequence[Script],
        functions: Mapping[str, Sequence[Script]],
        otherwise: Script,
        default_model: str,
        price: Price | None,
        dialect: Dialect,
        streams: bool,
    ) -> None:
        self.dialect = dialect
        self.streams = streams
        self.default_model = default_model
        self.price = price
        self.requests: list[Request] = []
        self.received: list[Received] = []
        """The same requests, read."""
        self.billed: list[Usage] = []
        """Every answer begun, whether or not the caller waited for it."""
        self.in_flight = 0
        self.most_in_flight = 0
        self._replies = deque(replies)
        self._functions = {name: deque(script) for name, script in functions.items()}
        self._otherwise = otherwise

    @property
    def free(self) -> bool:
        return self.price is not None and self.price.free

    async def ready(self) -> None:
        pass

    async def send(self, request: Request) -> Answer:
        self._begin()
        try:
            _, answer = await self._answer(request)
            return answer
        finally:
            self.in_flight -= 1

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        self._begin()
        try:
            reply, answer = await self._answer(request)
            if answer.status >= 300:
                raise StatusError(answer=answer)
            async with aclosing(_paced(self.dialect.write_stream(answer.body), pace_s=reply.pace_s)) as events:
                yield events
        finally:
            self.in_flight -= 1

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        yield

    def _begin(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    async def _answer(self, request: Request) -> tuple[Reply, Answer]:
        received = self.dialect.receive(request.body)
        self.requests.append(request)
        self.received.append(received)
        identity = f"resp_{len(self.requests)}"
        script = self._next(received)
        if callable(script):
            script = script(received)
            script = await script if inspect.isawaitable(script) else script
        reply = script if isinstance(script, Reply) else Reply(value=script)
        if isinstance(reply.value, (BaseException, Answer)):
            answer = reply.value
        else:
            answer = self._written(reply, request=request, received=received, identity=identity)
        if math.isinf(reply.delay_s):
            await trio.sleep_forever()
        await trio.sleep(reply.delay_s)
        if isinstance(answer, BaseException):
            raise answer
        return reply, answer

    def _next(self, received: Received) -> Script:
        script = self._functions.get(received.tool, self._replies)
        if script:
            return script.popleft()
        if self._otherwise is None:
            raise ProviderError(
                provider=self.name,
                message=f"no reply left for attempt {received.attempt} of {received.tool}",
                fix="add one to the script, or pass otherwise=",
            )
        return self._otherwise

    def _written(self, reply: Reply, *, request: Request, received: Received, identity: str) -> Answer:
        arguments = None if reply.text is not None else _arguments(reply.value, received.schema)
        output_bytes = len(arguments or (reply.text or "").encode())
        counted = Usage(
            input_tokens=_tokens(len(request.body) - sum(map(len, received.images)))
            + len(received.images) * IMAGE_TOKENS,
            output_tokens=min(received.max_output_tokens, max(1, _tokens(output_bytes))),
        )
        usage = counted if reply.usage == "counted" else reply.usage
        self.billed.append(usage or counted)
        body = self.dialect.write(
            tool=reply.tool or received.tool,
            arguments=arguments,
            usage=usage,
            model=received.model,
            text=reply.text or "",
            finish=reply.finish,
            extra={"id": identity},
        )
        return Answer(status=200, headers={"content-type": "application/json"}, body=body)


async def _paced(events: Sequence[bytes], *, pace_s: float) -> AsyncGenerator[bytes]:
    for event in events:
        await trio.sleep(pace_s)
        yield event


def _arguments(value: object, schema: Mapping[str, Any]) -> bytes:
    """`value` as the tool's arguments, inside `{"value": ...}` where the contract is not an object."""
    if isinstance(value, bytes):
        return value
    plain: Any = json_value(value)
    wanted = set(schema.get("properties", ()))
    if wanted == {"value"} and not (isinstance(plain, dict) and plain.keys() == wanted):
        return msgspec.json.encode({"value": plain})
    return msgspec.json.encode(plain)


def _tokens(size: int) -> int:
    return math.ceil(size / 4)
