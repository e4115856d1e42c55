"""`Lane`: where a step runs, in a cancel scope of its own; `Deadlines`: the warden of all lanes' time limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Literal

import trio


@dataclass(kw_only=True, eq=False)
class StepCancelled(Exception):
    """Why a step was cancelled. Given as a step's error; never raised in it, where trio raises `Cancelled`."""

    reason: str
    cause: Literal["asked", "deadline", "overtaken", "stopped"]

    def __str__(self) -> str:
        return self.reason


class Lane:
    """Runs one step at a time. A step gets its lane, to be found and cancelled by it."""

    __slots__ = ("_deadlines", "number", "scope", "step", "until", "why_cancelled")

    def __init__(self, number: int, deadlines: Deadlines) -> None:
        self.number = number
        self.step = -1
        """The step that runs here; -1 between steps."""
        self.scope = trio.CancelScope()
        """Holds the running step alone; replaced once it was cancelled."""
        self.why_cancelled: StepCancelled | None = None
        self.until = math.inf
        """The running step's deadline; set it by `deadline`."""
        self._deadlines = deadlines

    @property
    def deadline(self) -> float:
        """When the running step will be cancelled, in `trio.current_time()`; may be moved either way."""
        return self.until

    @deadline.setter
    def deadline(self, when: float) -> None:
        self.until = when
        if when != math.inf:
            self._deadlines.watch(self)

    def cancel(self, step: int, *, reason: str) -> None:
        """Cancel `step`, if it is what runs here, and nothing else; it then counts as failed."""
        if self.step == step:
            self.stop(StepCancelled(reason=reason, cause="asked"))

    def stop(self, why: StepCancelled) -> None:
        """Cancel the running step; the first reason given is the one that counts."""
        if self.why_cancelled is None:
            self.why_cancelled = why
            self.scope.cancel(reason=why.reason)


class Deadlines:
    """A lazy heap of deadlines and one task that serves it.

    A deadline in every scope would put each step into trio's own heap and take it out again,
    7 µs; here a step that ends in time leaves its entry behind, to be dropped in bulk.
    """

    def __init__(self, lanes: Sequence[Lane], nursery: trio.Nursery) -> None:
        self._lanes = lanes
        self._nursery = nursery
        self._heap: list[tuple[float, int]] = []
        self._alarm: trio.CancelScope | None = None
        self._alarm_at = math.inf
        self._closed = False

    def watch(self, lane: Lane) -> None:
        """Look at `lane` once its deadline, finite, has passed."""
        if len(self._heap) > 64 + 2 * len(self._lanes):
            self._heap = [(other.until, other.number) for other in self._lanes if other.until != math.inf]
            heapify(self._heap)
        else:
            heappush(self._heap, (lane.until, lane.number))
        if self._alarm is None:
            self._set_alarm(lane.until)
            self._nursery.start_soon(self._serve, name="deadlines")
        elif lane.until < self._alarm_at:
            self._alarm.deadline = self._alarm_at = lane.until

    def close(self) -> None:
        """End the task."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()

    async def _serve(self) -> None:
        while not self._closed:
            assert self._alarm is not None
            with self._alarm:
                await trio.sleep_forever()
            now = trio.current_time()
            while self._heap and self._heap[0][0] <= now:
                _, number = heappop(self._heap)
                self._expire(self._lanes[number], now)
            self._set_alarm(self._heap[0][0] if self._heap else math.inf)

    def _expire(self, lane: Lane, now: float) -> None:
        if lane.until <= now:  # else the entry is of a step that ended, or was given more time
            lane.until = math.inf
            lane.stop(StepCancelled(reason="its time limit passed", cause="deadline"))

    def _set_alarm(self, when: float) -> None:
        self._alarm_at = when
        self._alarm = trio.CancelScope(deadline=when)
