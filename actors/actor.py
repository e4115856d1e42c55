"""`Actor`: one task that owns some state, and a mailbox that is the only way to it.

Messages are handled one at a time, each to its end, in the order they were put. A handler is the subclass's
`handle`; what it returns answers an `ask`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar, cast

import trio

from stratum.contracts.errors import ActorClosed, StratumError

R = TypeVar("R")
M = TypeVar("M", bound="Message[Any]")

MAILBOX = 64
"""Messages that wait before their senders do: enough to ride out a burst, few enough to notice a jam."""


class Message(Generic[R]):
    """What an actor is sent. A `Message[int]` is answered with an int, a `Message[None]` merely handled."""


class Actor(ABC, Generic[M]):
    """A mailbox and the task that empties it: `supervisor.start(actor.run, name=actor.name, policy="restart")`.

    A `StratumError` raised while a message is handled is its answer. Anything else is a crash: it leaves `run`, the
    message is lost, the mailbox is kept, and the supervisor decides what comes next.
    """

    def __init__(self, *, name: str, mailbox: int = MAILBOX) -> None:
        self.name = name
        self._sender, self._mailbox = trio.open_memory_channel[_Letter](mailbox)

    @abstractmethod
    async def handle(self, message: M) -> object:
        """Do what the message says; the return value is its answer."""

    async def tell(self, message: M) -> None:
        """Put the message; waits while the mailbox is full.

        Raises:
            ActorClosed: it takes no more messages.
        """
        await self._put(_Letter(message))

    async def ask(self, message: Message[R]) -> R:
        """Put the message and wait until it was handled. Cancelling the wait retracts nothing.

        Raises:
            ActorClosed: the actor ended, or crashed on this message, before it answered.
            StratumError: what the handler raised.
        """
        letter = _Letter(message)
        await self._put(letter)
        await letter.answered.wait()
        if letter.error is not None:
            raise letter.error
        return cast(R, letter.result)

    async def run(self) -> None:
        """Handle messages until `close`, and then those still in the mailbox. To be supervised."""
        try:
            async for letter in self._mailbox:
                await self._deliver(letter)
        except trio.Cancelled:
            self._refuse_the_rest()
            raise

    def close(self) -> None:
        """Take no more messages."""
        self._sender.close()

    async def _put(self, letter: _Letter) -> None:
        try:
            await self._sender.send(letter)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            raise self._closed(letter) from None

    async def _deliver(self, letter: _Letter) -> None:
        try:
            letter.result = await self.handle(cast(M, letter.message))
        except StratumError as error:
            letter.error = error
        except BaseException as crash:
            letter.error = self._closed(letter)
            letter.error.__cause__ = crash
            raise
        finally:
            letter.answered.set()

    def _refuse_the_rest(self) -> None:
        self._sender.close()
        while True:
            try:
                letter = self._mailbox.receive_nowait()
            except (trio.EndOfChannel, trio.WouldBlock):
                break
            letter.error = self._closed(letter)
            letter.answered.set()
        # Those who wait for room in the mailbox hear of it too.
        self._mailbox.close()

    def _closed(self, letter: _Letter) -> ActorClosed:
        return ActorClosed(actor=self.name, message_type=type(letter.message).__name__)


class _Letter:
    """A message in the mailbox, and where its answer goes."""

    __slots__ = ("answered", "error", "message", "result")

    def __init__(self, message: Message[Any]) -> None:
        self.message = message
        self.answered = trio.Event()
        self.result: object = None
        self.error: StratumError | None = None
