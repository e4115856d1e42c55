"""`stratum.run`: flows from synchronous code, and only from there."""

from __future__ import annotations

import asyncio
import inspect

import pytest

import stratum


async def doubled(number: int) -> int:
    return 2 * number


def test_a_function_or_a_coroutine_is_run() -> None:
    assert stratum.run(doubled, 4) == 8
    assert stratum.run(doubled(4)) == 8


async def test_a_running_trio_loop_is_refused_and_the_coroutine_closed() -> None:
    """CASES F17."""
    coroutine = doubled(4)
    with pytest.raises(RuntimeError, match="await the step instead"):
        stratum.run(coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_a_running_asyncio_loop_is_refused_and_the_coroutine_closed() -> None:
    """CASES F17."""
    coroutine = doubled(4)

    async def inside() -> None:
        with pytest.raises(RuntimeError, match="await the step instead"):
            stratum.run(coroutine)

    asyncio.run(inside())
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
