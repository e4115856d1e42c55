"""Where conditions run, and what a deadline does to them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trio.testing

from stratum.contracts.errors import ContractDefinitionError
from stratum.engine.postconditions.postcondition import Ensure, Postcondition, ensure

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

Condition = Callable[..., object] | Ensure
NO_ARGUMENTS: Mapping[str, object] = {}


def compiled(fn: Condition) -> Postcondition:
    return Postcondition.compile(fn, function="f", parameters=["wait_s"], returns=str)


async def check(fn: Condition, *, wait_s: float = 0, on_leak: Callable[[str], object] | None = None) -> list[str]:
    violations = await compiled(fn).check("result", {"wait_s": wait_s}, on_leak)
    return [violation.for_prompt for violation in violations]


async def test_an_inline_condition_is_no_checkpoint() -> None:
    postcondition = compiled(lambda r: r == "other")
    assert postcondition.inline
    with trio.CancelScope() as scope:
        scope.cancel()
        assert len(await postcondition.check("result", {})) == 1
    assert not scope.cancelled_caught


async def test_a_function_runs_in_a_thread_and_does_not_stall_the_loop() -> None:
    started, release = threading.Event(), threading.Event()

    def blocked(result: str) -> str:
        started.set()
        assert release.wait(60)
        return threading.current_thread().name

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            while not started.is_set():
                await trio.lowlevel.checkpoint()
            release.set()

        (text,) = await check(blocked)
    assert "MainThread" not in text


async def test_a_hanging_condition_is_abandoned_at_the_deadline_and_reported() -> None:
    started, release = threading.Event(), threading.Event()
    leaks: list[str] = []

    def hanging(result: str) -> None:
        started.set()
        release.wait(60)

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            while not started.is_set():
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

        await check(hanging, on_leak=leaks.append)
    assert nursery.cancel_scope.cancelled_caught
    assert leaks == ["the thread of `hanging(result)` was abandoned at its deadline and may still be running"]
    release.set()


async def test_a_condition_cancelled_before_it_began_never_runs_and_is_no_leak() -> None:
    leaks: list[str] = []
    ran: list[str] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await check(ran.append, on_leak=leaks.append)
    await trio.testing.wait_all_tasks_blocked()
    assert (ran, leaks) == ([], [])


async def test_hanging_conditions_do_not_use_up_the_threads_of_others() -> None:
    release = threading.Event()

    def hanging(result: str) -> None:
        release.wait(60)

    limiter = trio.to_thread.current_default_thread_limiter()
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(check, hanging)
        await trio.testing.wait_all_tasks_blocked()
        assert limiter.borrowed_tokens == 0
        release.set()


async def test_cancelling_an_async_condition_passes_through_it(autojump_clock: trio.testing.MockClock) -> None:
    async def slow(result: str) -> bool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 100)
            await trio.sleep(100)
        return False

    with trio.move_on_after(5) as scope:
        await check(slow)
    assert scope.cancelled_caught
    assert trio.current_time() == 5


async def test_a_group_of_exceptions_is_a_violation_unless_it_holds_a_cancellation() -> None:
    async def fails(result: str) -> None:
        async with trio.open_nursery():
            raise ValueError("wrong")

    (text,) = await check(fails)
    assert text.startswith("ensure: fails(result) (ExceptionGroup: ")


# Worker processes: functions they run are at module level.


def is_in_another_process(result: str, wait_s: float) -> str:
    return f"pid {os.getpid()}, {result}, {wait_s}"


def spins(result: str) -> None:
    Path(result).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)


def dies(result: str) -> None:
    os._exit(3)


def raises_here(result: str) -> None:
    raise KeyError(result)


async def test_a_condition_may_run_in_a_process() -> None:
    (text,) = await check(ensure(is_in_another_process, process=True), wait_s=0.5)
    assert text.endswith(", result, 0.5)")
    assert f"pid {os.getpid()}," not in text
    assert await check(ensure(raises_here, process=True)) == ["ensure: raises_here(result) (KeyError: 'result')"]


async def test_a_hanging_process_is_killed_at_the_deadline(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    leaks: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(compiled(ensure(spins, process=True)).check, str(pid_file), NO_ARGUMENTS, leaks.append)
        with trio.fail_after(60):
            while not (pid_file.exists() and pid_file.read_text()):
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert leaks == []


async def test_a_process_that_dies_is_a_violation() -> None:
    (text,) = await check(ensure(dies, process=True))
    assert text.startswith("ensure: dies(result) (BrokenWorkerProcess")


async def test_a_result_that_cannot_be_carried_to_a_process_is_a_violation() -> None:
    postcondition = compiled(ensure(raises_here, process=True))
    (violation,) = await postcondition.check(threading.Lock(), {})
    assert "pickle" in violation.detail


def test_a_lambda_in_a_process_is_refused() -> None:
    with pytest.raises(ContractDefinitionError, match="process=True needs a function that pickles"):
        compiled(ensure(lambda r: True, process=True))


def test_without_process_ensure_changes_nothing() -> None:
    assert compiled(ensure(lambda r: r == "x")).inline
