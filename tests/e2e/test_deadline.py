"""The issue's figure: a deadline with 100 calls in flight returns within 100 ms of it, of the time that the machine gives us."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import trio
from tests.fakes.leaks import nothing_left
from tests.fakes.openai_server import serve_process

from stratum import Budget, BudgetExceeded, Price, contract, flow, infer, open_runtime
from stratum.contracts.records import LeftInDoubt
from stratum.engine.providers.openai import OpenAI

pytestmark = pytest.mark.e2e

CALLS = 100
WITHIN_S = 0.1
TRIES = 20
MAY_BE_LATER = 2
"""Of the tries: the machine does other things too."""


@contract
class Word:
    text: str


@infer(intent="Say a word", max_output_tokens=100)
def say(about: str) -> Word: ...


async def say_all(count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(say, f"{number}")


FLOWS = {
    # While they are being sent: 100 requests are more than 50 ms of work.
    50: flow(budget=Budget(ms=50))(say_all),
    # When all of them are sent.
    1000: flow(budget=Budget(ms=1000))(say_all),
}


@pytest.mark.parametrize("ms", sorted(FLOWS))
def test_a_deadline_with_a_hundred_calls_under_way_is_met_within_100_ms(tmp_path: Path, ms: int) -> None:
    late_ms: list[int] = []
    kept_ms: list[int] = []
    in_doubt: list[int] = []
    thread = threading.get_native_id()

    def note(waited_s: list[float]) -> None:
        waited_s.append(kept_waiting_s(thread))

    async def main() -> None:
        provider = OpenAI("k", server.url, price=Price.per_million(input=1, output=1))
        async with nothing_left(), open_runtime(provider=provider, journal=tmp_path / "stratum.db") as runtime:
            while len(late_ms) <= TRIES:
                at_deadline_s: list[float] = []
                # A thread, for at the deadline the loop may be at work.
                watch = threading.Timer(ms / 1000, note, [at_deadline_s])
                watch.start()
                started = trio.current_time()
                with pytest.raises(BudgetExceeded) as caught:
                    await FLOWS[ms](CALLS)
                late_s = trio.current_time() - started - ms / 1000
                await trio.to_thread.run_sync(watch.join)
                kept_s = min(late_s, kept_waiting_s(thread) - at_deadline_s[0])
                late_ms.append(round((late_s - kept_s) * 1000))
                kept_ms.append(round(kept_s * 1000))
                assert len(caught.value.remaining) == CALLS
                (run, *_) = await runtime.journal.runs(limit=1)
                records = await runtime.journal.read(run.run)
                in_doubt.append(sum(isinstance(record, LeftInDoubt) for record in records))

    with serve_process(tmp_path / "bills.jsonl", "--latency-ms", "600000") as server:
        trio.run(main)
    print(
        f"{ms} ms deadline, {CALLS} calls: late by {late_ms} ms, and by {kept_ms} ms more for others; sent and in doubt: {in_doubt}"
    )
    # Not the first: it loads what calls need.
    assert sum(late >= WITHIN_S * 1000 for late in late_ms[1:]) <= MAY_BE_LATER
    if ms == 1000:
        assert max(in_doubt) == CALLS


def kept_waiting_s(thread: int) -> float:
    """How long others had the processor while the thread was ready to go on, other programs and other machines on this one's host:
    they make us late, and it is not our doing. On Linux; elsewhere it is not known.
    """
    ready = Path(f"/proc/self/task/{thread}/schedstat")
    if not ready.exists():
        return 0.0
    stolen = Path("/proc/stat").read_text().split(maxsplit=9)[8]
    return int(ready.read_text().split()[1]) / 1e9 + int(stolen) / os.sysconf("SC_CLK_TCK")
