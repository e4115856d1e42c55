"""Workers beyond this process: `open_runtime(cluster=Cluster(workers=4))`, and `on_cluster(flow)`.

Needs the extra `cluster`, which brings Ray; it is loaded when a runtime with a cluster is opened.
"""

from __future__ import annotations

from stratum.contracts.cluster_errors import ClusterError, RemoteFailure, WorkerLost
from stratum.engine.cluster.cluster import Cluster
from stratum.engine.cluster.on_cluster import on_cluster

__all__ = ["Cluster", "ClusterError", "RemoteFailure", "WorkerLost", "on_cluster"]
