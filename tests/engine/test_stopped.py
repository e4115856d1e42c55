"""What ends a step from outside, and what is its own failure."""

from __future__ import annotations

import pytest
import trio

from stratum.engine.stopped import was_stopped


async def cancelled() -> trio.Cancelled:
    caught: list[trio.Cancelled] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            caught.append(error)
            raise
    return caught[0]


async def test_cancellation_is_a_stop_however_deep_in_groups() -> None:
    error = await cancelled()
    assert was_stopped(error)
    assert was_stopped(BaseExceptionGroup("", [error]))
    assert was_stopped(BaseExceptionGroup("", [BaseExceptionGroup("", [error, error]), KeyboardInterrupt()]))


async def test_a_failure_is_none_even_beside_a_cancellation() -> None:
    assert not was_stopped(BaseExceptionGroup("", [await cancelled(), ValueError()]))


@pytest.mark.parametrize("error", [ValueError(), ExceptionGroup("", [OSError()]), SystemExit()])
def test_other_errors_are_none(error: BaseException) -> None:
    assert not was_stopped(error)
