"""A service's developer's test: a thousand flows at once in one process, then ten thousand, and nothing grows."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest
import trio
from tests.fakes.leaks import Held, held, held_sockets, nothing_left
from tests.fakes.openai_server import serve_process

from stratum import Budget, Price, Runtime, compute, contract, flow, infer, open_runtime
from stratum.engine.providers.openai import OpenAI

pytestmark = pytest.mark.e2e

AT_ONCE = 1000
BATCHES = 10
MOST_GROWTH_MIB = 20
OTHER_SOCKETS = 10
"""Trio's own and the journal's, with room to spare."""


@contract
class Answer:
    text: str


@infer(intent="Answer the question", ensure=lambda r: len(r.text) > 1, max_output_tokens=100)
def answer(question: str) -> Answer: ...


@compute(inline=True)
def polished(draft: Answer) -> Answer:
    return Answer(text=draft.text.strip().capitalize())


@flow(budget=Budget(usd=0.01, ms=120_000))
async def reply(question: str) -> Answer:
    return await polished(await answer(question))


def resident_mib() -> float:
    """What this process holds in memory now, not at its peak."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def batch(runtime: Runtime) -> int:
    """A request each, as a service gets them: every one in a task of its own."""
    replies: list[Answer] = []

    async def request(number: int) -> None:
        replies.append(await runtime.run(reply, f"question {number}"))

    async with trio.open_nursery() as nursery:
        for number in range(AT_ONCE):
            nursery.start_soon(request, number)
    return len(replies)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_ten_thousand_flows_a_thousand_at_a_time(tmp_path: Path) -> None:
    sizes: list[float] = []
    after: list[tuple[Held, int]] = []
    seconds: list[float] = []
    # Whatever ran before in this process may have kept some.
    before = held_sockets()

    async def main() -> None:
        provider = OpenAI("k", server.url, price=Price.per_million(input=1, output=1))
        async with nothing_left(), open_runtime(provider=provider, journal=tmp_path / "stratum.db") as runtime:
            for _ in range(BATCHES + 1):
                started = trio.current_time()
                assert await batch(runtime) == AT_ONCE
                seconds.append(trio.current_time() - started)
                gc.collect()
                sizes.append(resident_mib())
                after.append((held(), threading.active_count()))
            runs = await runtime.journal.runs(limit=AT_ONCE * (BATCHES + 2))
            assert sum(run.state == "succeeded" for run in runs) == AT_ONCE * (BATCHES + 1)

    with serve_process(tmp_path / "bills.jsonl", "--latency-ms", "20", "--arguments", '{"text":"  yes"}') as server:
        trio.run(main)
        assert len(server.bills()) == AT_ONCE * (BATCHES + 1)
    # Two batches to warm up: the second one opens a connection for every flow.
    _, warm, *_, last = sizes
    figures = (
        f"MiB after each batch: {[round(size, 1) for size in sizes]}; s: {[round(s, 1) for s in seconds]}; {after}"
    )
    print(figures)
    assert last - warm < MOST_GROWTH_MIB, figures
    assert len({where.tasks for where, _ in after}) == 1, figures
    # A connection is kept for every call that was ever under way at once, and no more.
    assert max(where.sockets for where, _ in after) <= before + AT_ONCE + OTHER_SOCKETS, figures
    assert max(threads for _, threads in after) < 20, figures
