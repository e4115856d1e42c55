"""Users' blocking code in threads: abandoned at the deadline, reported if it hangs, never in others' way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import trio

from stratum import Budget, BudgetExceeded, compute, flow, open_runtime
from stratum.contracts.records import Leaked
from stratum.engine.providers.scripted import scripted
from stratum.engine.worker_thread import MOST_THREADS, WorkerThread


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What hanging work waits for; set in the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def test_work_that_starts_after_it_was_abandoned_is_not_done() -> None:
    ran: list[int] = []
    thread = WorkerThread(lambda: ran.append(1), purpose="compute")
    assert thread.abandon() is False
    with pytest.raises(RuntimeError, match="abandoned"):
        thread._run()  # pyright: ignore[reportPrivateUsage]  # a race, without the race
    assert ran == []


async def test_hanging_computes_use_up_neither_the_threads_of_conditions_nor_trios(released: threading.Event) -> None:
    """Name resolution is in trio's: every call to a provider would hang with them."""
    leaks: list[int] = []
    begun: list[int] = []

    async def hang(number: int) -> None:
        def work() -> None:
            begun.append(number)
            released.wait()

        await WorkerThread(work, purpose="compute").result(lambda: leaks.append(number))

    async with trio.open_nursery() as nursery:
        for number in range(MOST_THREADS + 20):
            nursery.start_soon(hang, number)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        with trio.fail_after(60):
            assert await WorkerThread(lambda: 7, purpose="condition").result(lambda: None) == 7
            while len(begun) < MOST_THREADS:
                await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    assert len(leaks) == MOST_THREADS, "those that never began are no leaks"


async def test_only_a_compute_that_had_begun_is_recorded_as_leaked(released: threading.Event) -> None:
    begun: list[int] = []

    @compute
    def hang(number: int) -> int:
        begun.append(number)
        released.wait(60)
        return number

    @flow(budget=Budget(ms=1000))
    async def stuck(count: int) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(hang, number)

    async with open_runtime(provider=scripted(), journal=None) as runtime:
        with pytest.raises(BudgetExceeded) as caught:
            await stuck(MOST_THREADS + 5)
        (run,) = [run for run in await runtime.journal.runs() if run.name == "stuck"]
        leaked = [record for record in await runtime.journal.read(run.run) if isinstance(record, Leaked)]
    assert caught.value.resource == "ms"
    assert len(caught.value.remaining) == MOST_THREADS + 5
    with trio.fail_after(60):
        while len(begun) < len(leaked):  # a thread may have begun, and not yet come to say so
            await trio.sleep(0.001)
    assert len(leaked) == len(begun) <= MOST_THREADS
