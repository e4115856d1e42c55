"""`Crew`: a runtime's workers: who is free, who is gone and replaced, and what is done again because of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from stratum.actors.supervisor import open_supervisor
from stratum.contracts.cluster_errors import ClusterError, WorkerLost
from stratum.contracts.records import LostWorker
from stratum.engine.cluster.crossing import unpack
from stratum.engine.cluster.errand import Errand, SameWorker, perform
from stratum.engine.cluster.station import Station
from stratum.engine.compute import Compute
from stratum.engine.place import Place
from stratum.engine.step import Step

if TYPE_CHECKING:
    from stratum.engine.cluster.cluster import Cluster, Launch

MOST_FAILED_STARTS: Final = 3
"""In a row, of one worker: then something is wrong with all of them."""


class Crew:
    """A `Workplace`. Opened by `open_crew`."""

    def __init__(self, cluster: Cluster, launch: Launch) -> None:
        self._cluster = cluster
        self._launch = launch
        self._started: Counter[str] = Counter()
        self._for_flows: list[Station] = []
        self._arrived = trio.Event()
        self._free, self._taken = trio.open_memory_channel[Station](inf)
        """Workers that do one thing at a time, and do nothing: given out in the order in which they are asked for."""

    async def carry_out(self, step: Step[Any, Any], arguments: dict[str, Any], place: Place, *, retry: bool) -> Any:
        """Call the step's function on a worker; see `Workplace`."""
        for lost in range(self._cluster.retries + 1):
            try:
                return await self._once(step, arguments, place)
            except WorkerLost as error:
                run = place.run
                run.append(
                    LostWorker(elapsed_ms=run.elapsed_ms, call=place.step, worker=error.worker, reason=error.reason)
                )
                if not retry or lost == self._cluster.retries:
                    raise
                await run.go_back(place.step, place.envelope.scope)
        raise AssertionError("it returns or raises")

    async def _once(self, step: Step[Any, Any], arguments: dict[str, Any], place: Place) -> Any:
        if isinstance(step, Compute) and not step.is_async:
            return await self._alone(step, arguments, place)
        station = await self._for_flow(step)
        grace_s = self._cluster.grace_s
        inside = msgspec.structs.replace(place, away=SameWorker(station, grace_s=grace_s))
        errand = Errand(station, inside, grace_s=grace_s)
        return unpack(step, await errand.result(perform(step, arguments, alone=False)))

    async def _alone(self, step: Step[Any, Any], arguments: dict[str, Any], place: Place) -> Any:
        asked = perform(step, arguments, alone=True)
        if not self._cluster.workers:
            raise _no_worker(step, "workers")
        station = await self._taken.receive()
        while station.lost:  # while nobody needed it
            station = await self._taken.receive()
        try:
            return unpack(step, await Errand(station, place, grace_s=0).result(asked))
        finally:
            if not station.lost:
                self._free.send_nowait(station)

    async def _for_flow(self, step: Step[Any, Any]) -> Station:
        """The worker with the fewest."""
        if not self._cluster.flow_workers:
            raise _no_worker(step, "flow_workers")
        while not (there := [station for station in self._for_flows if not station.lost]):
            await self._arrived.wait()
        return min(there, key=lambda station: station.errands)

    async def keep(self, *, for_flows: bool, started: trio.Event) -> None:
        """Have one worker, and another one when that is lost.

        Raises:
            ClusterError: it does not start.
        """
        while True:
            station = await self._start("flows" if for_flows else "worker")
            if for_flows:
                self._for_flows.append(station)
                self._arrived.set()
                self._arrived = trio.Event()
            else:
                self._free.send_nowait(station)
            started.set()
            try:
                await station.serve()
            finally:
                if for_flows:
                    self._for_flows.remove(station)

    async def _start(self, kind: str) -> Station:
        self._started[kind] += 1
        for failed in count(1):
            try:
                return Station(await self._launch(f"{kind}-{self._started[kind]}"))
            except ClusterError:
                if failed == MOST_FAILED_STARTS:
                    raise
        raise AssertionError("it returns or raises")


@asynccontextmanager
async def open_crew(cluster: Cluster) -> AsyncGenerator[Crew]:
    """Start the workers; leaving the block ends them, with whatever runs there.

    Raises:
        ClusterError: on entering, when they do not start; in the block, when one is lost and no other starts.
    """
    async with cluster.open() as launch, open_supervisor(name="cluster") as supervisor:
        crew = Crew(cluster, launch)
        kinds = [True] * cluster.flow_workers + [False] * cluster.workers
        started = [trio.Event() for _ in kinds]
        for for_flows, event in zip(kinds, started, strict=True):
            supervisor.start(
                lambda for_flows=for_flows, event=event: crew.keep(for_flows=for_flows, started=event),  # type: ignore[misc]
                name="worker",
                policy="stop",
            )
        for event in started:
            await event.wait()
        yield crew


def _no_worker(step: Step[Any, Any], kind: str) -> ClusterError:
    return ClusterError(problem=f"no worker for {step.signature.name}: {kind}=0", fix=f"pass Cluster({kind}=1) or more")
