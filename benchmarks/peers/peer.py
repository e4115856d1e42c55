"""What every peer's script does with its task. Standard library only: it runs in the peer's environment."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from peak import peak_mb

TASK: dict[str, Any] = json.loads(sys.argv[1])
URL: str = TASK.get("url", "")


def timed(run: Callable[[], object], *, units: int) -> None:
    """Run once to warm up, then again, and print what that cost."""
    run()
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    _print(cpu, wall, units=units)


def timed_in_asyncio(run: Callable[[], Awaitable[object]], *, units: int) -> None:
    """The same of what is awaited, in one event loop."""

    async def main() -> None:
        await run()
        wall, cpu = time.perf_counter(), time.process_time()
        await run()
        _print(cpu, wall, units=units)

    asyncio.run(main())


def measure_calls(call: Callable[[str], Awaitable[Any]]) -> None:
    """Make the task's calls, so many at once. Some before, unmeasured: connections, compiled schemas, lazy imports."""
    calls, at_once = TASK["calls"], TASK["at_once"]

    async def main() -> None:
        await _in_flight(call, calls=max(at_once, calls // 10), at_once=at_once)
        wall, cpu = time.perf_counter(), time.process_time()
        await _in_flight(call, calls=calls, at_once=at_once)
        _print(cpu, wall, units=calls)

    asyncio.run(main())


async def _in_flight(call: Callable[[str], Awaitable[Any]], *, calls: int, at_once: int) -> None:
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            value = await call(f"plan {number}")
            assert value.level == "low", f"not the answer: {value!r}"

    await asyncio.gather(*(worker() for _ in range(at_once)))


def spend(
    call: Callable[[str], Awaitable[Any]],
    *,
    first: Callable[[], Awaitable[None]],
    within: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None,
) -> None:
    """Set a budget after one call, then make all the others at once; print how many came back, and what the rest raised.

    `within` runs what it is given under the budget, where a budget is for a block or a function.
    """

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(call(f"plan {n:02}") for n in range(TASK["calls"])), return_exceptions=True)

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(TASK["calls"]))
        await asyncio.wait_for(first(), 30)
        results = await (within(all_at_once) if within else all_at_once())
        failures = [type(result).__name__ for result in results if isinstance(result, BaseException)]
        print(json.dumps({"answered": len(results) - len(failures), "raised": sorted(set(failures))}))

    asyncio.run(main())


def retried(call: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Make a call whose first answer is rejected; whoever answers keeps what was sent."""
    print(json.dumps({"answer": str(asyncio.run(call()))}))


async def in_thread(call: Callable[[str], Any], text: str) -> Any:
    """For a peer that is synchronous; there are threads for all calls at once."""
    return await asyncio.to_thread(call, text)


def graph() -> list[list[int]]:
    """The parents of every step, in topological order."""
    with open(TASK["graph"]) as file:
        parents: list[list[int]] = json.load(file)
    return parents


def _print(cpu: float, wall: float, *, units: int) -> None:
    cpu_us = (time.process_time() - cpu) / units * 1e6
    wall_us = (time.perf_counter() - wall) / units * 1e6
    print(json.dumps({"cpu_us": cpu_us, "wall_us": wall_us, "peak_mb": peak_mb()}))
