"""`Station`: one worker as its owner sees it.

Below: a `Link`, which carries messages to one process and knows when that is gone. Above: errands, each of which is told
what concerns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Protocol

import trio

from stratum.engine.cluster.messages import ToWorker, Withdraw, encode, to_owner

if TYPE_CHECKING:
    from stratum.engine.cluster.errand import Errand


class LinkLost(Exception):
    """The process at the other end is gone. Internal: users see `WorkerLost`."""


class Link(Protocol):
    """The way to one worker process."""

    @property
    def name(self) -> str:
        """Which process it is, and where: `worker process 4242 on host`."""
        ...

    def post(self, message: bytes) -> None:
        """Send it, in order, without waiting; to a process that is gone, nothing."""
        ...

    async def receive(self) -> Sequence[bytes]:
        """The messages that came since.

        Raises:
            LinkLost: no more will come.
        """
        ...

    async def kill(self) -> None:
        """End the process, whatever it does."""
        ...


class Station:
    """One worker, from its start to its loss."""

    def __init__(self, link: Link) -> None:
        self.name = link.name
        self.lost = ""
        """Why it is gone; empty while it is there."""
        self._link = link
        self._numbers = count(1)
        self._errands: dict[int, Errand] = {}
        self._by_call: dict[int, Errand] = {}
        self._paid_calls = 0
        self._quiet = trio.Event()

    @property
    def errands(self) -> int:
        """How many it has."""
        return len(self._errands)

    async def serve(self) -> None:
        """Pass on what the worker says, until it is lost."""
        try:
            while True:
                for encoded in await self._link.receive():
                    message = to_owner(encoded)
                    if isinstance(message, Withdraw):
                        errand = self._by_call.get(message.call)
                    else:
                        errand = self._errands.get(message.errand)
                    if errand is not None:  # else it is over, and what its worker says of it came too late
                        errand.told(message)
        except LinkLost as lost:
            self._lose(str(lost))

    def add(self, errand: Errand) -> int:
        """Have it told what the worker says of it; its number."""
        number = next(self._numbers)
        self._errands[number] = errand
        return number

    def remove(self, number: int) -> None:
        del self._errands[number]

    def post(self, message: ToWorker) -> None:
        """Tell the worker, if there is one."""
        if not self.lost:
            self._link.post(encode(message))

    def begin_call(self, call: int, errand: Errand, *, paid: bool) -> None:
        """`paid`: it may be one that a model is asked."""
        self._by_call[call] = errand
        self._paid_calls += paid

    def end_call(self, call: int, *, paid: bool) -> None:
        del self._by_call[call]
        self._paid_calls -= paid
        if not self._paid_calls:
            self._quiet.set()
            self._quiet = trio.Event()

    async def quiet(self) -> None:
        """Wait until no call is in flight that a lost worker's functions had asked for.

        They are let end: their answers are recorded, and whoever goes on need not pay for them again.
        """
        while self._paid_calls:
            await self._quiet.wait()

    async def kill(self, reason: str) -> None:
        """End the worker, and whatever runs there."""
        self._lose(reason)
        with trio.CancelScope(shield=True):
            await self._link.kill()

    def _lose(self, reason: str) -> None:
        if not self.lost:
            self.lost = reason
            for errand in self._errands.values():
                errand.lose()
