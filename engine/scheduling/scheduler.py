"""`run_dag`: run the steps of a graph as soon as what they wait for is done.

Above: plans, which give steps their meaning, journal them and pay for them. Below: trio and
`Dag`; nothing here knows what a step is.

A task and a scope for every step would cost several times the step itself, so a few long-lived
tasks, the lanes, run ready steps one after another inline: a step that never suspends costs no
task switch. While a lane is busy one spare lane stands armed, that is, scheduled for trio's next
pass: it gets its turn only if the busy one suspended, and then takes the next ready step and arms
more. Steps that take no checkpoint, as `run_at_once` finds, are not even awaited; those that are ready
in the first turn are done before there is a lane, and of a small graph that may be all. A step that leaves
context variables changed costs its task: a fresh one in the caller's context takes the lane over,
so that no step sees another's context.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from time import perf_counter

import msgspec
import trio

from stratum.contracts.plans.dag import Dag
from stratum.engine.scheduling.lane import Deadlines, Lane, StepCancelled
from stratum.engine.scheduling.progress import NONE_READY, TURN_OVER, OnEnd, Progress, StepState

DEFAULT_LANES = 1000
"""A parked lane is 2 KB, and cancelling 1,000 of them takes 90 ms: what is in flight bounds the time to stop."""
MOST_ARMED = 64
"""Lanes started in one pass of the event loop at most, while steps keep suspending."""
YIELD_STEPS = 200
YIELD_S = 0.002
"""A lane whose steps never suspend lets the rest of the process run this often, whichever comes first."""


class StartOver(msgspec.Struct, frozen=True, gc=False):
    """A step's wish that `step`, itself or one it comes after, and all that followed from it be run again."""

    step: int


class Ended(msgspec.Struct, frozen=True):
    """How a run ended."""

    states: bytes
    """By step: a `StepState`."""
    errors: dict[int, Exception]
    """Of the steps that failed."""

    @property
    def succeeded(self) -> bool:
        return self.states.count(StepState.DONE) == len(self.states)


RunStep = Callable[[int, Lane], Awaitable[StartOver | None]]
RunAtOnce = Callable[[int], bool]


async def run_dag(
    dag: Dag,
    run_step: RunStep,
    *,
    run_at_once: RunAtOnce | None = None,
    beside: Callable[[], Awaitable[None]] | None = None,
    max_in_flight: int | None = None,
    fail_fast: bool = True,
    limit_s: Callable[[int], float] | None = None,
    on_end: OnEnd | None = None,
    weights: Sequence[float] | None = None,
) -> Ended:
    """Run every step of an acyclic graph once, after all that it waits for.

    A step that returns is done, even if its scope was cancelled meanwhile. One that raises has
    failed: its descendants never start and, with `fail_fast`, nothing else does either and what
    is running is cancelled. Nothing is raised for a failed step; see `Ended`.

    If the caller is cancelled, so are the steps in flight; then `Cancelled` is raised, and
    `on_end` is not called for them.

    Args:
        dag: Acyclic.
        run_step: Called with the step's number and its lane; may return `StartOver`.
        run_at_once: Asked of each step first, without its lane: does it if that takes no checkpoint, and says whether it
            did. Nothing can cancel such a step.
        beside: Runs until every step has ended, where they do not all end in the first turn.
        max_in_flight: With it, the step with the heaviest path ahead goes first; without, first
            ready first started, and at most `DEFAULT_LANES` at once.
        fail_fast: Stop at the first failure.
        limit_s: A step's time limit, in seconds from its start; `inf` for none.
        on_end: Told at once of each step that ends in any state but `DONE`. What it raises ends the run.
        weights: By step, its expected duration or anything proportional, for the order.

    Raises:
        ValueError: `max_in_flight` is below 1, or a step asked to start over from one that it does not come after.
        RuntimeError: the graph has a cycle; raised once nothing else is left to run.
    """
    if max_in_flight is not None and max_in_flight < 1:
        raise ValueError(f"max_in_flight={max_in_flight}: at least one step must be allowed to run")
    heaviest_first = None if max_in_flight is None else dag.path_lengths(weights)
    progress = Progress(dag, heaviest_first=heaviest_first, on_end=on_end)
    if run_at_once is not None:
        _first_turn(progress, run_at_once, fail_fast=fail_fast)
    if progress.unfinished:
        try:
            async with trio.open_nursery() as nursery:
                lanes = _Lanes(
                    progress,
                    run_step,
                    run_at_once=run_at_once,
                    nursery=nursery,
                    most=max_in_flight or DEFAULT_LANES,
                    fail_fast=fail_fast,
                    limit_s=limit_s,
                )
                lanes.start()
                if beside is not None:
                    nursery.start_soon(lanes.until_closed, beside)
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from group.exceptions[0].__cause__
            raise
    return Ended(states=bytes(progress.states), errors=progress.errors)


def _first_turn(progress: Progress, run_at_once: RunAtOnce, *, fail_fast: bool) -> None:
    """Without a lane, and in a context that nobody sees afterwards."""

    def failed(step: int, error: Exception) -> None:
        progress.failed(step, error)
        if fail_fast and not progress.stopped:
            progress.stop()

    clean = copy_context()
    step = copy_context().run(
        progress.run_ready, run_at_once, failed=failed, clean=clean, until=perf_counter() + YIELD_S, most=YIELD_STEPS
    )
    if step >= 0:
        progress.put_back(step)


class _Lanes:
    """The lanes of one run. Everything but a lane's own steps happens without a checkpoint."""

    def __init__(
        self,
        progress: Progress,
        run_step: RunStep,
        *,
        run_at_once: RunAtOnce | None,
        nursery: trio.Nursery,
        most: int,
        fail_fast: bool,
        limit_s: Callable[[int], float] | None,
    ) -> None:
        self._progress = progress
        self._run_step = run_step
        self._run_at_once = run_at_once
        self._nursery = nursery
        self._most = most
        self._fail_fast = fail_fast
        self._limit_s = limit_s
        self._origin = copy_context()
        self._lanes: list[Lane] = []
        self._deadlines = Deadlines(self._lanes, nursery)
        self._idle: dict[trio.lowlevel.Task, None] = {}
        self._busy: Lane | None = None  # where a step was started last
        self._armed = 0  # scheduled to wake, not yet awake
        self._width = 0  # lanes armed last
        self._freed = 0  # steps that had suspended, and have ended since then
        self._yielding = False
        self._beside = trio.CancelScope()

    async def until_closed(self, beside: Callable[[], Awaitable[None]]) -> None:
        with self._beside:
            await beside()

    def start(self) -> None:
        lane = Lane(len(self._lanes), self._deadlines)
        self._lanes.append(lane)
        self._start_task(lane)

    def _start_task(self, lane: Lane) -> None:
        self._armed += 1
        # A task gets a copy of the context that it is started in.
        self._origin.run(lambda: self._nursery.start_soon(self._serve, lane, name="lane"))

    async def _serve(self, lane: Lane) -> None:
        """Run steps in `lane` until none is left or one has changed this task's context variables."""
        clean = copy_context()
        if not self._wake_up():
            await self._park()
        while self._progress.unfinished:
            try:
                with trio.CancelScope() as lane.scope:
                    await self._serve_steps(lane, clean)
            except Exception as error:
                # The cleanup of a cancelled step failed. If no step is running, a hook or this file did.
                if lane.step < 0:
                    raise
                self._cut_short(lane, error)
            else:
                if lane.step >= 0:
                    self._cut_short(lane, None)
            lane.why_cancelled = None
            if copy_context() != clean:
                self._start_task(lane)
                return

    async def _serve_steps(self, lane: Lane, clean: Context) -> None:
        """Until none is left, or the lane needs a new scope or task."""
        progress = self._progress
        since_yield, yield_at = 0, perf_counter() + YIELD_S
        while progress.unfinished:
            if self._run_at_once is None:
                step = progress.take()
            else:
                self._busy = lane
                step = progress.run_ready(
                    self._run_at_once, failed=self._failed, clean=clean, until=yield_at, most=YIELD_STEPS
                )
                if not progress.unfinished:
                    self._close()
                    return
            if step == TURN_OVER:
                if copy_context() != clean:
                    return
                await self._yield()
                since_yield, yield_at = 0, perf_counter() + YIELD_S
                continue
            if step == NONE_READY:
                await self._park()
                continue
            if progress.ready and not self._armed:
                self._arm()
            if self._limit_s is not None and (limit := self._limit_s(step)) != math.inf:
                lane.deadline = trio.current_time() + limit
            lane.step = step
            self._busy = lane
            try:
                verdict = await self._run_step(step, lane)
            except Exception as error:  # noqa: BLE001 - the supervisor of steps: whatever one raises is its failure
                lane.step, lane.until = -1, math.inf
                self._failed(step, error)
            else:
                lane.step, lane.until = -1, math.inf
                if verdict is None or step in progress.overtaken:
                    progress.done(step)
                else:
                    self._start_over(step, verdict.step)
            if not progress.unfinished:
                self._close()
            if lane.why_cancelled is not None or copy_context() != clean:
                return
            # A step that shielded itself may end after the whole run was cancelled: start no other.
            await trio.lowlevel.checkpoint_if_cancelled()
            if self._busy is not lane:  # it suspended, and others ran
                self._freed += 1
                since_yield, yield_at = 0, perf_counter() + YIELD_S
                continue
            self._width = 0
            since_yield += 1
            if since_yield >= YIELD_STEPS or perf_counter() > yield_at:
                await self._yield()
                since_yield, yield_at = 0, perf_counter() + YIELD_S

    def _arm(self) -> None:
        """Have more lanes wake in the next pass of the event loop, in case this one suspends."""
        # Twice as many as last time; fewer where steps soon end, for their lanes are free again.
        self._width = min(max(1, 2 * self._width - self._freed // 2), MOST_ARMED)
        self._freed = 0
        for _ in range(min(self._width, len(self._progress.ready))):
            if self._idle:
                task, _ = self._idle.popitem()
                trio.lowlevel.reschedule(task)
                self._armed += 1
            elif len(self._lanes) < self._most:
                self.start()
            else:
                return

    def _wake_up(self) -> bool:
        """Account for an armed lane that got its turn; False if the busy one did not suspend but yielded."""
        self._armed -= 1
        return not self._yielding

    async def _park(self) -> None:
        """Wait until armed for a step that is ready, or for the end."""
        while self._progress.unfinished:
            if len(self._idle) + 1 == len(self._lanes) and not self._progress.ready:
                raise RuntimeError("steps are left but none can start: the graph has a cycle")
            task = trio.lowlevel.current_task()
            self._idle[task] = None

            def abort(_: object, task: trio.lowlevel.Task = task) -> trio.lowlevel.Abort:
                del self._idle[task]
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)
            if self._progress.unfinished and self._wake_up():
                return

    async def _yield(self) -> None:
        self._yielding = True
        try:
            await trio.lowlevel.checkpoint()
        finally:
            self._yielding = False

    def _failed(self, step: int, error: Exception) -> None:
        if self._progress.failed(step, error) and self._fail_fast and not self._progress.stopped:
            self._progress.stop()
            why = StepCancelled(reason=f"step {step} failed", cause="stopped")
            for lane in self._lanes:
                if lane.step >= 0:
                    lane.stop(why)

    def _cut_short(self, lane: Lane, error: Exception | None) -> None:
        """A step was cancelled in its own scope; `error` is what it raised on its way out."""
        step, lane.step, lane.until = lane.step, -1, math.inf
        why = lane.why_cancelled
        assert why is not None, "a lane's scope is cancelled by Lane.stop only"
        if why.cause == "stopped":
            self._progress.cancelled(step, error or why)
        else:
            self._failed(step, error or why)
        if not self._progress.unfinished:
            self._close()

    def _start_over(self, asking: int, first: int) -> None:
        if self._progress.stopped:
            self._progress.cancelled(asking, None)
            return
        overtaken = set(self._progress.start_over(asking, first))
        why = StepCancelled(reason=f"step {first} is run again", cause="overtaken")
        for lane in self._lanes:
            if lane.step in overtaken:
                lane.stop(why)

    def _close(self) -> None:
        """All steps have ended: let parked lanes return, the warden, and what runs beside them."""
        for task in self._idle:
            trio.lowlevel.reschedule(task)
        self._idle.clear()
        self._deadlines.close()
        self._beside.cancel(reason="every step has ended")
