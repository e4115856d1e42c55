"""`Cluster`: which worker processes a runtime has, and how they are treated."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from stratum.engine.cluster.station import Link
from stratum.engine.workplace import Workplace

Launch = Callable[[str], Awaitable[Link]]
"""Start a worker process of this name; it has imported the program's main module.

Raises:
    ClusterError: it did not start.
"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Worker processes for `open_runtime(cluster=...)`: started with the runtime, and ended with it.

    They are this machine's, unless `address` names a Ray cluster to use. What runs on them must be importable there.

    Raises:
        ValueError: a number that means nothing.
    """

    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Each calls one `@compute(process=True)` function at a time, and is killed at its deadline."""
    flow_workers: int = 1
    """Each holds any number of flows and async functions at once."""
    retries: int = 2
    """How often another worker goes on where one was lost. In a plan, its steps' own `retries` say that instead."""
    grace_s: float = 5.0
    """How long a flow may take to clean up when it is cancelled, before its worker is killed."""
    address: str = ""
    """As `ray.init` takes it: `auto`, or `ray://host:port`; empty: this machine alone."""
    runtime_env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What workers elsewhere need, as Ray has it: `working_dir`, `pip`, `env_vars`."""

    def __post_init__(self) -> None:
        if (
            type(self.workers) is not int
            or type(self.flow_workers) is not int
            or min(self.workers, self.flow_workers) < 0
        ):
            raise ValueError(f"workers={self.workers!r}, flow_workers={self.flow_workers!r}: pass numbers of processes")
        if self.workers + self.flow_workers == 0:
            raise ValueError("workers=0, flow_workers=0: pass at least one worker")
        if type(self.retries) is not int or self.retries < 0:
            raise ValueError(f"retries={self.retries!r}: pass a whole number, 0 or more")
        if not self.grace_s >= 0:
            raise ValueError(f"grace_s={self.grace_s!r}: pass seconds, 0 or more")

    def staffed(self) -> AbstractAsyncContextManager[Workplace]:
        """For a runtime: the workers, started; leaving the block ends them, with whatever runs there.

        Raises:
            ClusterError: on entering, when they do not start; in the block, when one is lost and no other starts.
        """
        from stratum.engine.cluster.crew import open_crew  # what only a runtime with a cluster needs

        return open_crew(self)

    def open(self) -> AbstractAsyncContextManager[Launch]:
        """Hold what workers are started with.

        Raises:
            ClusterError: Ray is not installed, or not to be reached.
        """
        from stratum.engine.cluster.ray_workers import open_ray  # which loads Ray

        return open_ray(self)
