"""What the engine asks of a provider: one prepared request in, one answer out, both bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from stratum.contracts.price import Price
from stratum.engine.dialects.protocol import Dialect


class Departure:
    """Whether a request has left, told by a provider that knows; one that says nothing leaves it unknown.

    Between `waits` and `leaves` a request that fails or is cancelled cannot have been billed.
    """

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting = False
        """It is certain that no byte of the request has left."""

    def waits(self) -> None:
        """Nothing has left yet, and nothing will before `leaves` is called."""
        self.waiting = True

    def leaves(self) -> None:
        """Called before the first byte goes, with no checkpoint in between."""
        self.waiting = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request, complete but for host and credentials."""

    path: str
    """Below the provider's base URL: `/responses`."""
    body: bytes
    streamed: bool = False
    departure: Departure = msgspec.field(default_factory=Departure)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer, its body received in full."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(kw_only=True, eq=False)
class TransportFailure(Exception):
    """No complete answer. The attempt loop decides what that means; it never leaves the engine."""

    reason: str
    sent: bool
    """False only where it is certain that no byte of the request left: then nothing can be billed."""
    retryable: bool = True
    fix: str = ""

    def __str__(self) -> str:
        return self.reason


class Provider(Protocol):
    """Who answers. Used from many tasks at once; cancelling `send` closes its connection."""

    @property
    def name(self) -> str:
        """For traces, errors and prices: `openai`."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How this provider's requests are written and its answers read."""
        ...

    @property
    def default_model(self) -> str | None:
        """Used where neither the call nor the runtime names one."""
        ...

    @property
    def free(self) -> bool:
        """True where a call costs no money (an embedded model); its tokens count all the same."""
        ...

    @property
    def price(self) -> Price | None:
        """What every call costs, where the user says so; `None`: looked up by provider and model."""
        ...

    @property
    def streams(self) -> bool:
        """True where answers should be received event by event, so that one past its output cap is cut off."""
        ...

    async def ready(self) -> None:
        """Wait until what has to start (an embedded model) has started; called before the first call, while no budget's clock runs."""
        ...

    async def send(self, request: Request) -> Answer:
        """Send and receive in full. Error statuses are answers, not exceptions.

        Raises:
            TransportFailure: no complete answer.
        """
        ...

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Server-sent events as they come, each one's `data`; leaving the block closes the connection.

        Raises:
            TransportFailure: on entering, or while iterating, when the answer does not come or breaks off.
            StatusError: on entering, when the status is not 2xx.
        """
        ...

    def open(self) -> AbstractAsyncContextManager[None]:
        """Hold connections and child processes open; entered once by the runtime, before the first `send`."""
        ...


@dataclass(kw_only=True, eq=False)
class StatusError(Exception):
    """A streamed request was answered by an error status; `answer` has it in full."""

    answer: Answer
