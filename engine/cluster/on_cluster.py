"""`on_cluster`: a flow whose function runs on a worker, and whose calls are made, booked and recorded where the runtime is."""

from __future__ import annotations

from typing import Any, Generic, ParamSpec, TypeVar, cast

from stratum.contracts.cluster_errors import ClusterError
from stratum.engine.cluster.crossing import name_of
from stratum.engine.flow import Flow
from stratum.engine.place import current_place

P = ParamSpec("P")
R = TypeVar("R")


class OnCluster(Flow[P, R], Generic[P, R]):
    """The flow, called there; in all else it is the same flow, and so is a run of it that is resumed."""

    def __init__(self, flow: Flow[P, R]) -> None:
        super().__init__(flow.function, budget=flow.budget)

    async def body(self, arguments: dict[str, Any]) -> R:
        place = current_place.get()
        assert place is not None, "a flow's function is called at its place"
        if place.away is not None:  # inside a flow that is there: beside it
            return await super().body(arguments)
        cluster = place.run.runtime.cluster
        if cluster is None:
            raise ClusterError(
                problem=f"{self.signature.name} is to run on a cluster, and the runtime has none",
                fix="open it as open_runtime(cluster=Cluster()), or call the flow itself",
            )
        return cast("R", await cluster.carry_out(self, arguments, place, retry=True))


def on_cluster(flow: Flow[P, R]) -> Flow[P, R]:
    """`await on_cluster(summarise)(text)`: call a flow on a worker of the runtime's cluster.

    The flow's function, and the functions of the steps it calls, run there; conditions, and calls of models, here: one budget,
    one journal. A flow whose worker is lost goes on with another, and what it had completed is not done again.

    Raises:
        ClusterError: the flow cannot be found by its name in another process.
        TypeError: it is no flow.
    """
    if not isinstance(flow, Flow):  # pyright: ignore[reportUnnecessaryIsInstance] - not everybody has a type checker
        raise TypeError(f"{flow!r} is no flow; a function that computes runs on a worker with @compute(process=True)")
    name_of(flow)
    return OnCluster(flow)
