"""The graphs that schedulers are measured on: Task Bench's patterns, and recorded workflows.

By step, the steps it waits for; always the same for the same size. The patterns are those of
Slaughter et al., "Task Bench" (SC20).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stratum.contracts.plans.dag import Dag

STENCIL_WIDTH = 100


def chain(size: int) -> Dag:
    """One after another."""
    return Dag.of([(step - 1,) if step else () for step in range(size)])


def fan(size: int) -> Dag:
    """One, then all the others but one at once, then that one."""
    return Dag.of([(), *[(0,)] * (size - 2), tuple(range(1, size - 1))])


def stencil(size: int) -> Dag:
    """Rows of 100; each step waits for its three neighbours in the row before."""

    def before(step: int) -> list[int]:
        column = step % STENCIL_WIDTH
        neighbours = [step - STENCIL_WIDTH + shift for shift in (-1, 0, 1) if 0 <= column + shift < STENCIL_WIDTH]
        return neighbours if step >= STENCIL_WIDTH else []

    return Dag.of([before(step) for step in range(size)])


def tree(size: int) -> Dag:
    """Each step is waited for by two."""
    return Dag.of([((step - 1) // 2,) if step else () for step in range(size)])


def scattered(size: int) -> Dag:
    """Each step waits for up to three of the 200 before it, drawn at random."""
    draw = random.Random(20261120)
    return Dag.of(
        [
            {draw.randrange(max(0, step - 200), step) for _ in range(draw.randint(0, 3))} if step else ()
            for step in range(size)
        ]
    )


PATTERNS: dict[str, Callable[[int], Dag]] = {
    "fan": fan,
    "chain": chain,
    "stencil": stencil,
    "tree": tree,
    "random": scattered,
}


SOURCE = "WfInstances (https://github.com/wfcommons/WfInstances, LGPL-3.0) has 182 of them"


def workflows(folder: Path) -> Iterator[tuple[str, Dag]]:
    """The recorded workflows in a folder: WfFormat 1.5, or its structure alone as `{"parents": [[...], ...]}`.

    One that is neither ends the program, with its name.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            yield path.stem, workflow(json.loads(path.read_bytes()))
        except (KeyError, TypeError, ValueError) as error:
            raise SystemExit(f"{path} is no workflow, in WfFormat 1.5 or as parents alone: {error!r}") from error


def workflow(document: dict[str, Any]) -> Dag:
    """One recorded workflow."""
    if "parents" in document:
        return Dag.of(document["parents"])
    tasks = document["workflow"]["specification"]["tasks"]
    number = {task["id"]: index for index, task in enumerate(tasks)}
    return Dag.of([[number[parent] for parent in task["parents"]] for task in tasks])
