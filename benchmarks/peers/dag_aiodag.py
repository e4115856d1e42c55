"""aiodag: a task a step, its parents passed by name. To make a task is to start it, so that there is no graph to build before."""

import asyncio
from functools import cache
from typing import Any

from aiodag import task
from peer import graph, timed_in_asyncio


@cache
def step(parents: int) -> Any:
    """A task of so many parameters: it takes no variable number of them."""
    names: dict[str, Any] = {}
    parameters = ", ".join(f"p{number}" for number in range(parents))
    exec(f"async def step({parameters}):\n    return None", names)  # noqa: S102
    return task(names["step"])


parents = graph()


async def main() -> None:
    steps: list[Any] = []
    for before in parents:
        steps.append(step(len(before))(*(steps[parent] for parent in before)))
    await asyncio.gather(*steps)


timed_in_asyncio(main, units=len(parents))
