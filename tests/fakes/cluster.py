"""A cluster whose workers are tasks of the test: the same messages, no processes, virtual time, and loss at will."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf

import trio

from stratum.actors.supervisor import open_supervisor
from stratum.contracts.cluster_errors import ClusterError
from stratum.engine.cluster.cluster import Cluster, Launch
from stratum.engine.cluster.station import LinkLost
from stratum.engine.cluster.worker import Worker


class FakeLink:
    """To a worker in the same event loop."""

    def __init__(self, name: str, *, deaf: bool = False) -> None:
        self._deaf = deaf
        self.name = name
        self.killed = False
        self._to_worker, self._worker_hears = trio.open_memory_channel[bytes](inf)
        self._to_owner, self._owner_hears = trio.open_memory_channel[bytes](inf)
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        with self._scope, self._to_owner:
            await Worker(self._say, name=self.name).serve(self._worker_hears)

    def post(self, message: bytes) -> None:
        if not self._deaf:
            self._to_worker.send_nowait(message)

    async def receive(self) -> Sequence[bytes]:
        try:
            return [await self._owner_hears.receive()]
        except trio.EndOfChannel:
            raise LinkLost("killed" if self.killed else "it died") from None

    async def kill(self) -> None:
        self.killed = True
        self.die()

    def die(self) -> None:
        """As by kill -9: what was said is heard, and nothing more is said."""
        self._to_owner.close()
        self._scope.cancel()

    def _say(self, message: bytes) -> None:
        try:
            self._to_owner.send_nowait(message)
        except trio.ClosedResourceError:
            pass  # what a dead process still does in this one


@dataclass(frozen=True, kw_only=True)
class FakeCluster(Cluster):
    """`links` has every worker that was started."""

    links: list[FakeLink] = field(default_factory=list[FakeLink])
    broken_starts: list[str] = field(default_factory=list[str])
    """Why the next starts fail."""
    deaf: int = 0
    """How many of the first workers never get to do anything."""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Launch]:
        async with open_supervisor(name="processes") as processes:

            async def launch(name: str) -> FakeLink:
                await trio.lowlevel.checkpoint()
                if self.broken_starts:
                    raise ClusterError(problem=self.broken_starts.pop(0), fix="mend it")
                link = FakeLink(name, deaf=len(self.links) < self.deaf)
                self.links.append(link)
                # A process has no context but its own.
                contextvars.Context().run(partial(processes.start, link.run, name=name, policy="stop"))
                return link

            yield launch
