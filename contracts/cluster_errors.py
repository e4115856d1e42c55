"""What goes wrong between a runtime and the worker processes of its cluster."""

from __future__ import annotations

from dataclasses import dataclass

from stratum.contracts.errors import StratumError


@dataclass(kw_only=True, eq=False)
class ClusterError(StratumError):
    """There is no cluster, it cannot be reached, or a function cannot run on it."""

    problem: str
    fix: str

    def __str__(self) -> str:
        return f"cluster: {self.problem}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class WorkerLost(StratumError):
    """The process in which a function ran is gone, and nobody knows how far it came. What its calls cost is booked."""

    step: str
    worker: str
    reason: str
    fix: str = "call it again if it may run twice, or raise Cluster(retries=...)"

    def __str__(self) -> str:
        return f"{self.step}: {self.worker} was lost ({self.reason}); {self.fix}"


@dataclass(kw_only=True, eq=False)
class RemoteFailure(StratumError):
    """An error of a function on a worker that cannot be brought here as it is: its class does not pickle."""

    type: str
    message: str

    def __str__(self) -> str:
        return f"{self.type}: {self.message}; give its class a constructor that takes Exception.args to have it itself"
