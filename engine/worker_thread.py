"""`WorkerThread`: users' blocking code in a thread that is abandoned, and reported, when its caller is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Literal, TypeVar

import trio
from trio.lowlevel import RunVar

T = TypeVar("T")

Purpose = Literal["compute", "condition"]

MOST_THREADS: Final = 40
"""For one purpose in one event loop; as trio's own limit."""

# Of their own: threads that hang must not use up those of other work, nor trio's, which resolve names and read files.
_limiters: RunVar[dict[Purpose, trio.CapacityLimiter]] = RunVar("worker threads")


class WorkerThread(Generic[T]):
    """One piece of blocking work."""

    def __init__(self, work: Callable[[], T], *, purpose: Purpose) -> None:
        self._work = work
        self._purpose: Purpose = purpose
        self._started = self._finished = self._abandoned = False

    async def result(self, on_leak: Callable[[], object]) -> T:
        """What the work returns or raises. Cancelled, it leaves the thread, and tells `on_leak` if that is still at work."""
        try:
            return await trio.to_thread.run_sync(self._run, abandon_on_cancel=True, limiter=_limiter(self._purpose))
        except trio.Cancelled:
            if self.abandon():
                on_leak()
            raise

    def abandon(self) -> bool:
        """Whether the work is running now; if it has not begun, it never will."""
        self._abandoned = True
        return self._started and not self._finished

    def _run(self) -> T:
        if self._abandoned:
            raise RuntimeError("abandoned before it began")  # to nobody: its caller was cancelled
        self._started = True
        try:
            return self._work()
        finally:
            self._finished = True


def _limiter(purpose: Purpose) -> trio.CapacityLimiter:
    limiters = _limiters.get({})
    if purpose not in limiters:
        limiters[purpose] = trio.CapacityLimiter(MOST_THREADS)
        _limiters.set(limiters)
    return limiters[purpose]
