"""How long from a budget's exhaustion until the last sibling has stopped, by the number in flight?

The baseline, `bare nursery`, has as many tasks asleep and is cancelled. `infer` has as many calls in flight with a
provider in the process that never answers, then one call that no budget could afford; `infer, over HTTP` has them in
flight over the lean transport, their connections to be closed; `bare nursery, on sockets` has tasks that wait for the
same server, each on a connection. `infer, on disk` has its journal in a file, whereas the others keep it in memory:
what is awaited on the way is on disk before the flow has raised. `infer, none sent` begins as many calls under a budget
that affords none. All of `infer` have a task for each call in a nursery; `parallel` and `parallel, none sent` leave
that to `parallel`. What is measured is wall time until the flow has raised, once for all of them.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import trio
import trio.testing
from pydantic import Field
from tests.fakes.openai_server import serve_process

from benchmarks.options import common_options, parser
from benchmarks.timing import Measured, Row, compare, report
from stratum import Budget, BudgetExceeded, Price, contract, flow, infer, open_runtime, parallel
from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.protocol import Provider
from stratum.engine.providers.scripted import Reply, scripted

BASELINE = "bare nursery"
PRICE = Price.per_million(input=2, output=8)
Clocks = tuple[float, float]
"""Seconds of CPU time and of the wall's."""


@contract
class Word:
    text: str


@infer(intent="Say a word", max_output_tokens=20)
def say(about: str) -> Word: ...


@contract
class Novel:
    text: Annotated[str, Field(min_length=40_000_000)]


@infer(intent="Say all words", max_output_tokens=10_000_000)
def say_all(about: str) -> Novel: ...


def bare(count: int) -> Measured:
    async def main() -> Measured:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            begun = _clocks()
            nursery.cancel_scope.cancel()
        return _since(begun)

    return trio.run(main)


def bare_on_sockets(url: str, count: int) -> Measured:
    parts = urlsplit(url)

    async def waits() -> None:
        async with await trio.open_tcp_stream(parts.hostname or "", parts.port or 80) as stream:
            await stream.receive_some()
            raise AssertionError("the server said something")

    async def main() -> Measured:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(waits)
            await trio.testing.wait_all_tasks_blocked(0.1)
            begun = _clocks()
            nursery.cancel_scope.cancel()
        return _since(begun)

    return trio.run(main)


async def in_a_nursery(count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(say, f"{number}")


async def in_parallel(count: int) -> None:
    await parallel(*(say(f"{number}") for number in range(count)))


def stopped(
    provider: Provider,
    count: int,
    *,
    limit_usd: float,
    all_sent: Callable[[], Awaitable[None]] | None,
    branch_out: Callable[[int], Awaitable[None]] = in_a_nursery,
    journal: Path | None = None,
) -> Measured:
    """From the moment a budget is exhausted, which is at once where it affords nothing, until the flow has raised."""
    exhausted: list[Clocks] = []

    @flow(budget=Budget(usd=limit_usd))
    async def branches(count: int) -> None:
        if all_sent is None:
            exhausted.append(_clocks())
            await branch_out(count)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(branch_out, count)
            await all_sent()
            exhausted.append(_clocks())
            await say_all("everything")

    async def main() -> Measured:
        async with open_runtime(provider=provider, journal=journal):
            try:
                await branches(count)
            except BudgetExceeded:
                return _since(exhausted[0])
            raise AssertionError("the budget held nobody back")

    return trio.run(main)


def in_process(
    count: int, branch_out: Callable[[int], Awaitable[None]] = in_a_nursery, *, journal: Path | None = None
) -> Measured:
    provider = scripted(otherwise=Reply(value={"text": "hi"}, delay_s=math.inf), price=PRICE)

    async def all_sent() -> None:
        while provider.in_flight < count:
            await trio.sleep(0.001)

    return stopped(provider, count, limit_usd=_ample(count), all_sent=all_sent, branch_out=branch_out, journal=journal)


def on_disk(count: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        return in_process(count, journal=Path(folder) / "stratum.db")


def none_sent(count: int, branch_out: Callable[[int], Awaitable[None]] = in_a_nursery) -> Measured:
    provider = scripted(otherwise=Reply(value={"text": "hi"}, delay_s=math.inf), price=PRICE)
    measured = stopped(provider, count, limit_usd=0.000001, all_sent=None, branch_out=branch_out)
    assert not provider.requests
    return measured


def over_http(url: str, count: int) -> Measured:
    provider = OpenAI("key", url, transport="lean", price=PRICE, max_connections=count)
    # Nothing says when the server has them all; they are what the loop waits for once it is idle.
    return stopped(provider, count, limit_usd=_ample(count), all_sent=lambda: trio.testing.wait_all_tasks_blocked(0.1))


def _ample(count: int) -> float:
    """USD for all of them, and not for the one that comes last."""
    return 1 + count / 500


@contextmanager
def silent_server() -> Generator[str]:
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_process(Path(folder) / "bill", "--latency-ms", "600000") as server,
    ):
        yield server.url


def _clocks() -> Clocks:
    return time.process_time(), time.perf_counter()


def _since(begun: Clocks) -> Measured:
    cpu_s, wall_s = (now - then for now, then in zip(_clocks(), begun, strict=True))
    return Measured(cpu_us=cpu_s * 1e6, wall_us=wall_s * 1e6)


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    rows: list[Row] = []
    with silent_server() as url:
        for count in (10, 100) if options.quick else (1, 100, 1000, 10_000):
            contenders: dict[str, Callable[[], object]] = {
                BASELINE: lambda count=count: bare(count),
                "infer": lambda count=count: in_process(count),
                "infer, on disk": lambda count=count: on_disk(count),
                "infer, none sent": lambda count=count: none_sent(count),
                "parallel": lambda count=count: in_process(count, in_parallel),
                "parallel, none sent": lambda count=count: none_sent(count, in_parallel),
            }
            if count <= 400:  # more sockets than many systems allow a process
                contenders["bare nursery, on sockets"] = lambda count=count: bare_on_sockets(url, count)
                contenders["infer, over HTTP"] = lambda count=count: over_http(url, count)
            rows += compare(
                f"{count:,} in flight", contenders, baseline=BASELINE, units=1, rounds=options.rounds, by="wall"
            )
    report(__doc__ or "", rows, options, packages=("trio",), unit="stop")


if __name__ == "__main__":
    main()
