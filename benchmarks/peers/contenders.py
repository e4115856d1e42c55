"""Installed peers as contenders of a comparison."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import Peer, Task, installed_peers, run_peer, version_of
from benchmarks.timing import Elsewhere, Measured
from stratum.contracts.plans.dag import Dag


def peers_calling(url: str, *, calls: int, at_once: int) -> dict[str, Elsewhere]:
    """Every framework that is installed, making these calls."""
    asked = {"url": url, "calls": calls, "at_once": at_once}
    return {_label(peer): Elsewhere(partial(_measured, peer, "calls", asked)) for peer in installed_peers("calls")}


@contextmanager
def peers_running(dag: Dag) -> Generator[dict[str, Elsewhere]]:
    """Every engine that is installed, running this graph of steps that do nothing."""
    parents: list[list[int]] = [[] for _ in dag.successors]
    for step, successors in enumerate(dag.successors):
        for successor in successors:
            parents[successor].append(step)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.json"
        graph.write_text(json.dumps(parents))
        asked = {"graph": str(graph)}
        yield {_label(peer): Elsewhere(partial(_measured, peer, "dags", asked)) for peer in installed_peers("dags")}


def _label(peer: Peer) -> str:
    return f"{peer.name} {version_of(peer)}"


def _measured(peer: Peer, task: Task, asked: dict[str, Any]) -> Measured:
    return Measured(**run_peer(peer, task, asked))
