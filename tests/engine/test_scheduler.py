"""`run_dag` against a simple reference: same order, same times, nothing twice, nothing too early."""

from __future__ import annotations

import heapq
import math
import traceback
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from itertools import count

import pytest
import trio
import trio.testing
from hypothesis import assume, given
from hypothesis import strategies as st

from stratum.contracts.plans.dag import Dag
from stratum.engine.scheduling.lane import Lane, StepCancelled
from stratum.engine.scheduling.progress import StepState
from stratum.engine.scheduling.scheduler import YIELD_STEPS, Ended, StartOver, run_dag

CHAIN = Dag.of([[], [0], [1], [2]])
DIAMOND = Dag.of([[], [0], [0], [1, 2]])


def in_virtual_time(main: Callable[[], Awaitable[Ended]]) -> Ended:
    """For Hypothesis, whose examples need a clock each."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def independent(size: int) -> Dag:
    return Dag.of([()] * size)


async def no_op(step: int, lane: Lane) -> None:
    pass


# Order and time


@st.composite
def timed_dags(draw: st.DrawFn) -> tuple[list[set[int]], list[int]]:
    """Steps with durations drawn wide enough that two events hardly ever fall on one instant."""
    size = draw(st.integers(1, 25))
    before = [draw(st.sets(st.integers(0, step - 1), max_size=3)) if step else set[int]() for step in range(size)]
    return before, draw(st.lists(st.integers(1, 10**9), min_size=size, max_size=size))


@given(timed_dags())
def test_every_step_starts_the_moment_its_last_dependency_is_done(timed: tuple[list[set[int]], list[int]]) -> None:
    before, durations = timed
    starts: dict[int, float] = {}

    async def run_step(step: int, lane: Lane) -> None:
        assert step not in starts
        starts[step] = trio.current_time()
        await trio.sleep(durations[step])

    ended = in_virtual_time(lambda: run_dag(Dag.of(before), run_step))

    assert ended.succeeded
    ends: list[int] = []
    for step, duration in enumerate(durations):
        expected = max((ends[other] for other in before[step]), default=0)
        assert starts[step] == expected
        ends.append(expected + duration)


@given(timed_dags(), st.integers(1, 4))
def test_a_cap_is_filled_with_the_heaviest_paths_first(timed: tuple[list[set[int]], list[int]], cap: int) -> None:
    before, durations = timed
    dag = Dag.of(before)
    starts: dict[int, float] = {}

    async def run_step(step: int, lane: Lane) -> None:
        starts[step] = trio.current_time()
        await trio.sleep(durations[step])

    expected = simulate(dag, durations, cap)
    in_virtual_time(lambda: run_dag(dag, run_step, max_in_flight=cap, weights=durations))
    assert starts == expected


def simulate(dag: Dag, durations: list[int], cap: int) -> dict[int, int]:
    """List scheduling on `cap` machines; examples with two events at one instant are dropped."""
    lengths = dag.path_lengths(durations)
    missing = list(dag.in_degrees)
    ready = [(-lengths[step], step) for step in dag.roots]
    heapq.heapify(ready)
    running: list[tuple[int, int]] = []
    starts: dict[int, int] = {}
    now = 0
    while ready or running:
        while ready and len(running) < cap:
            _, step = heapq.heappop(ready)
            starts[step] = now
            heapq.heappush(running, (now + durations[step], step))
        now, step = heapq.heappop(running)
        assume(not running or running[0][0] != now)
        for successor in dag.successors[step]:
            missing[successor] -= 1
            if not missing[successor]:
                heapq.heappush(ready, (-lengths[successor], successor))
    return starts


async def test_without_a_cap_first_ready_is_first_started() -> None:
    order: list[int] = []

    async def run_step(step: int, lane: Lane) -> None:
        order.append(step)

    await run_dag(Dag.of([[], [], [0], [1], [2, 3]]), run_step)
    assert order == [0, 1, 2, 3, 4]


async def test_no_steps_are_a_success() -> None:
    assert (await run_dag(Dag.of([]), no_op)).succeeded


@pytest.mark.parametrize("cap", [0, -1])
async def test_a_cap_below_one_is_refused(cap: int) -> None:
    with pytest.raises(ValueError, match="at least one step"):
        await run_dag(CHAIN, no_op, max_in_flight=cap)


@pytest.mark.parametrize("before", [[[0]], [[], [0, 2], [1]], [[], [2], [1], [0]]])
async def test_a_cycle_ends_in_an_error_rather_than_a_hang(before: list[list[int]]) -> None:
    with trio.fail_after(60), pytest.raises(RuntimeError, match="cycle"):
        await run_dag(Dag.of(before), no_op)


# Lanes


async def test_a_thousand_sleeping_steps_sleep_at_the_same_time(autojump_clock: trio.testing.MockClock) -> None:
    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(1)

    assert (await run_dag(independent(1000), run_step)).succeeded
    assert trio.current_time() == 1


async def test_a_ready_step_never_waits_for_a_lane_below_the_cap(autojump_clock: trio.testing.MockClock) -> None:
    """Steps that suspend at once, in the middle of others that never do."""
    starts: dict[int, float] = {}

    async def run_step(step: int, lane: Lane) -> None:
        starts[step] = trio.current_time()
        if step % 3 == 0:
            await trio.sleep(10)

    await run_dag(independent(600), run_step, max_in_flight=201)
    assert set(starts.values()) == {0}
    assert trio.current_time() == 10


@pytest.fixture
def never_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes yield by the number of steps alone, so that a busy machine counts the same."""
    monkeypatch.setattr("stratum.engine.scheduling.scheduler.YIELD_S", 3600)


class TaskSteps(trio.abc.Instrument):
    """Counts the times that trio lets a task run, and its passes."""

    def __init__(self) -> None:
        self.count = 0
        self.passes = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1

    def before_io_wait(self, timeout: float) -> None:
        self.passes += 1


async def test_steps_that_never_suspend_cost_no_task_switch(never_slow: None) -> None:
    switches = TaskSteps()
    trio.lowlevel.add_instrument(switches)
    await run_dag(Dag.of([(), *[((step - 1) // 2,) for step in range(1, 10_000)]]), no_op)
    trio.lowlevel.remove_instrument(switches)
    assert switches.count < 3 * 10_000 / YIELD_STEPS + 20


async def test_a_wide_fan_of_suspending_steps_starts_within_a_few_passes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    switches = TaskSteps()
    started = 0

    async def run_step(step: int, lane: Lane) -> None:
        nonlocal started
        started += 1
        if started == 1000:
            trio.lowlevel.remove_instrument(switches)
        await trio.sleep(1)

    trio.lowlevel.add_instrument(switches)
    await run_dag(independent(1000), run_step)
    assert switches.passes < 40


async def test_after_a_wide_fan_steps_that_never_suspend_are_cheap_again(
    autojump_clock: trio.testing.MockClock, never_slow: None
) -> None:
    switches = TaskSteps()

    async def run_step(step: int, lane: Lane) -> None:
        if step < 200:
            await trio.sleep(1)
        elif step == 200:
            trio.lowlevel.add_instrument(switches)

    fan = [list[int]()] * 200
    await run_dag(Dag.of([*fan, list(range(200)), *[[200]] * 10_000]), run_step)
    trio.lowlevel.remove_instrument(switches)
    assert switches.count < 3 * 10_000 / YIELD_STEPS + 300


async def test_steps_that_never_suspend_let_other_tasks_run() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        await run_dag(independent(2000), no_op)
        assert turns >= 9
        nursery.cancel_scope.cancel()


async def test_a_step_may_itself_run_a_graph() -> None:
    ran: list[tuple[int, int]] = []

    async def outer(step: int, lane: Lane) -> None:
        async def inner(substep: int, lane: Lane) -> None:
            await trio.lowlevel.checkpoint()
            ran.append((step, substep))

        await run_dag(DIAMOND, inner)

    assert (await run_dag(CHAIN, outer)).succeeded
    assert len(ran) == len(set(ran)) == 16


ambient: ContextVar[str] = ContextVar("ambient", default="clean")


@pytest.mark.parametrize("ending", ["return", "raise", "cancel"])
async def test_a_step_never_sees_context_variables_that_another_set(ending: str) -> None:
    seen: list[str] = []

    async def run_step(step: int, lane: Lane) -> None:
        seen.append(ambient.get())
        ambient.set(f"step {step}")
        if ending == "raise":
            raise ValueError
        if ending == "cancel":
            lane.cancel(step, reason="enough")
            await trio.sleep_forever()

    await run_dag(independent(20), run_step, max_in_flight=1, fail_fast=False)
    assert seen == ["clean"] * 20


async def test_steps_see_the_context_of_the_caller() -> None:
    ambient.set("caller's")
    seen: set[str] = set()

    async def run_step(step: int, lane: Lane) -> None:
        seen.add(ambient.get())
        ambient.set("spoilt")

    await run_dag(DIAMOND, run_step)
    assert seen == {"caller's"}
    assert ambient.get() == "caller's"


# Failures


def raising(*failing: int) -> Callable[[int, Lane], Awaitable[None]]:
    async def run_step(step: int, lane: Lane) -> None:
        if step in failing:
            raise ValueError(step)

    return run_step


async def test_a_failed_step_blocks_what_comes_after_it() -> None:
    ended = await run_dag(CHAIN, raising(1), fail_fast=False)
    assert list(ended.states) == [StepState.DONE, StepState.FAILED, StepState.BLOCKED, StepState.BLOCKED]
    assert repr(ended.errors) == "{1: ValueError(1)}"
    assert not ended.succeeded


async def test_fail_fast_cancels_what_is_running_and_starts_nothing_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    reasons: list[str | None] = []

    async def run_step(step: int, lane: Lane) -> None:
        if step == 0:
            await trio.sleep(1)
            raise ValueError
        try:
            await trio.sleep(5)
        except trio.Cancelled as cancelled:
            reasons.append(cancelled.reason)
            raise

    ended = await run_dag(independent(4), run_step, max_in_flight=3)
    assert list(ended.states) == [StepState.FAILED, StepState.CANCELLED, StepState.CANCELLED, StepState.BLOCKED]
    assert reasons == ["step 0 failed"] * 2
    assert list(ended.errors) == [0]
    assert trio.current_time() == 1


async def test_a_step_that_finishes_while_it_is_being_cancelled_is_done(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A paid, valid result is never thrown away."""

    async def run_step(step: int, lane: Lane) -> None:
        if step == 0:
            await trio.sleep(1)
            raise ValueError
        with trio.CancelScope(shield=True):
            await trio.sleep(5)

    ended = await run_dag(independent(2), run_step)
    assert list(ended.states) == [StepState.FAILED, StepState.DONE]
    assert trio.current_time() == 5


@given(timed_dags(), st.data())
def test_independent_branches_finish_when_asked_to(
    timed: tuple[list[set[int]], list[int]], data: st.DataObject
) -> None:
    before, durations = timed
    failing = data.draw(st.sets(st.integers(0, len(before) - 1), max_size=3))
    told: dict[int, StepState] = {}

    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(durations[step])
        if step in failing:
            raise ValueError(step)

    ended = in_virtual_time(
        lambda: run_dag(
            Dag.of(before), run_step, fail_fast=False, on_end=lambda step, state, _: told.update({step: state})
        )
    )
    expected: list[StepState] = []
    for step, others in enumerate(before):
        done = all(expected[other] is StepState.DONE for other in others)
        expected.append(StepState.BLOCKED if not done else StepState.FAILED if step in failing else StepState.DONE)
    assert list(ended.states) == expected
    assert told == {step: state for step, state in enumerate(expected) if state is not StepState.DONE}
    assert set(ended.errors) == {step for step, state in enumerate(expected) if state is StepState.FAILED}


async def test_an_error_in_a_steps_own_nursery_is_that_steps_failure() -> None:
    async def run_step(step: int, lane: Lane) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.cancel_scope.cancel()
            raise ValueError(step)

    ended = await run_dag(CHAIN, run_step)
    assert isinstance(ended.errors[0], ExceptionGroup)


async def test_an_error_in_the_cleanup_of_a_cancelled_step_is_kept() -> None:
    errors: list[Exception | None] = []

    async def run_step(step: int, lane: Lane) -> None:
        if step == 0:
            await trio.testing.wait_all_tasks_blocked()
            raise ValueError("first")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("cleanup")

    ended = await run_dag(independent(2), run_step, on_end=lambda step, state, error: errors.append(error))
    assert list(ended.states) == [StepState.FAILED, StepState.CANCELLED]
    assert str(errors[0]) == "first"
    assert "cleanup" in "".join(traceback.format_exception(errors[1]))


async def test_an_interrupt_is_not_a_steps_failure() -> None:
    async def run_step(step: int, lane: Lane) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await run_dag(CHAIN, run_step)


async def test_what_the_listener_raises_ends_the_run() -> None:
    def on_end(step: int, state: StepState, error: Exception | None) -> None:
        raise LookupError("journal gone")

    started: list[int] = []

    async def run_step(step: int, lane: Lane) -> None:
        started.append(step)
        raise ValueError

    with pytest.raises(LookupError, match="journal gone"):
        await run_dag(independent(3), run_step, fail_fast=False, on_end=on_end, max_in_flight=1)
    assert started == [0]


# Cancellation and deadlines


async def test_cancelling_the_caller_cancels_every_step_in_flight(autojump_clock: trio.testing.MockClock) -> None:
    cancelled: set[int] = set()

    async def run_step(step: int, lane: Lane) -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.add(step)
            raise

    with trio.move_on_after(3) as scope:
        await run_dag(independent(100), run_step, limit_s=lambda step: 10)
    assert scope.cancelled_caught
    assert cancelled == set(range(100))
    assert trio.current_time() == 3


async def test_cancelling_the_caller_ends_lanes_that_are_parked(autojump_clock: trio.testing.MockClock) -> None:
    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(1 if step < 9 else math.inf)

    with trio.move_on_after(3) as scope:
        await run_dag(Dag.of([*[()] * 9, range(9)]), run_step)
    assert scope.cancelled_caught
    assert trio.current_time() == 3


@pytest.mark.parametrize("max_in_flight", [1, None])
async def test_nothing_starts_after_the_caller_was_cancelled(
    autojump_clock: trio.testing.MockClock, max_in_flight: int | None
) -> None:
    """Not even on a lane whose step shielded itself from the cancellation."""
    started: list[int] = []

    async def run_step(step: int, lane: Lane) -> None:
        started.append(step)
        with trio.CancelScope(shield=True):
            await trio.sleep(5)

    with trio.move_on_after(3):
        await run_dag(CHAIN, run_step, max_in_flight=max_in_flight)
    assert started == [0]


@given(timed_dags(), st.data())
def test_a_step_over_its_time_limit_fails_at_that_moment(
    timed: tuple[list[set[int]], list[int]], data: st.DataObject
) -> None:
    before, durations = timed
    limits = [data.draw(st.sampled_from([math.inf, duration + 1, max(duration // 2, 0.5)])) for duration in durations]
    ends: dict[int, float] = {}

    async def run_step(step: int, lane: Lane) -> None:
        try:
            await trio.sleep(durations[step])
        finally:
            ends[step] = trio.current_time()

    ended = in_virtual_time(lambda: run_dag(Dag.of(before), run_step, fail_fast=False, limit_s=limits.__getitem__))

    expected: dict[int, float] = {}
    for step, duration in enumerate(durations):
        if all(ended.states[other] == StepState.DONE for other in before[step]):
            expected[step] = max((expected[other] for other in before[step]), default=0) + min(duration, limits[step])
    assert ends == expected
    for step, error in ended.errors.items():
        assert durations[step] > limits[step]
        assert isinstance(error, StepCancelled)
        assert error.cause == "deadline"


async def test_a_deadline_may_be_moved_while_the_step_runs(autojump_clock: trio.testing.MockClock) -> None:
    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(1)
        lane.deadline += (10, -1.5, math.inf)[step]
        await trio.sleep(3)

    ended = await run_dag(independent(3), run_step, fail_fast=False, limit_s=lambda step: 3)
    assert list(ended.states) == [StepState.DONE, StepState.FAILED, StepState.DONE]
    assert trio.current_time() == 4


async def test_a_deadline_that_passed_belongs_to_its_step_alone(autojump_clock: trio.testing.MockClock) -> None:
    """Later steps on the same lane, with and without a limit, are not hit by entries left in the heap."""

    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(1)

    ended = await run_dag(
        independent(500), run_step, max_in_flight=1, limit_s=lambda step: (1.5, 300, math.inf)[step % 3]
    )
    assert ended.succeeded
    assert trio.current_time() == 500


async def test_a_long_deadline_outlives_the_entries_of_many_short_steps(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def run_step(step: int, lane: Lane) -> None:
        if step == 0:
            await trio.sleep_forever()

    ended = await run_dag(
        independent(1000), run_step, max_in_flight=2, fail_fast=False, limit_s=lambda step: 2000 if step == 0 else 2
    )
    assert list(ended.errors) == [0]
    assert trio.current_time() == 2000


async def test_one_step_can_be_cancelled_by_itself(autojump_clock: trio.testing.MockClock) -> None:
    lanes: dict[int, Lane] = {}

    async def run_step(step: int, lane: Lane) -> None:
        lanes[step] = lane
        await trio.sleep(2)

    async with trio.open_nursery() as nursery:

        async def cancel_one() -> None:
            await trio.sleep(1)
            lanes[1].cancel(1, reason="not needed")
            lanes[1].cancel(1, reason="asked twice")
            lanes[2].cancel(1, reason="not what runs there")

        nursery.start_soon(cancel_one)
        ended = await run_dag(independent(3), run_step, fail_fast=False)
    assert list(ended.states) == [StepState.DONE, StepState.FAILED, StepState.DONE]
    assert str(ended.errors[1]) == "not needed"


async def test_cancelling_a_step_that_has_ended_does_not_hit_the_next_on_its_lane() -> None:
    lanes: list[Lane] = []

    async def run_step(step: int, lane: Lane) -> None:
        lanes.append(lane)
        if step:
            lanes[0].cancel(step - 1, reason="late")
        await trio.lowlevel.checkpoint()

    assert (await run_dag(CHAIN, run_step, max_in_flight=1)).succeeded
    assert len(set(lanes)) == 1


# Starting over


async def test_starting_over_runs_again_what_lies_between_and_nothing_else() -> None:
    """DESIGN 6: a violated ensure sends the plan back to the step that can repair it."""
    runs: list[int] = []

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        runs.append(step)
        return StartOver(step=1) if step == 3 and runs.count(3) < 3 else None

    ended = await run_dag(CHAIN, run_step)
    assert ended.succeeded
    assert runs == [0, 1, 2, 3, 1, 2, 3, 1, 2, 3]


async def test_a_step_may_start_over_itself() -> None:
    runs: list[int] = []

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        runs.append(step)
        return StartOver(step=1) if runs == [0, 1] else None

    assert (await run_dag(CHAIN, run_step)).succeeded
    assert runs == [0, 1, 1, 2, 3]


async def test_a_step_running_on_what_is_replaced_is_cancelled_and_run_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[tuple[float, int]] = []

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        log.append((trio.current_time(), step))
        await trio.sleep((1, 1, 5, 1)[step])
        return StartOver(step=0) if log == [(0, 0), (1, 1), (1, 2)] or len(log) == 3 else None

    assert (await run_dag(DIAMOND, run_step)).succeeded
    assert sorted(log) == [(0, 0), (1, 1), (1, 2), (2, 0), (3, 1), (3, 2), (8, 3)]


async def test_what_a_failure_blocked_is_unblocked_by_starting_over(autojump_clock: trio.testing.MockClock) -> None:
    #  0 -> 1 -> 2, 0 -> 3: 1 fails on what 0 made first, 3 has it made anew.
    runs: list[int] = []

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        runs.append(step)
        await trio.sleep(step)
        if step == 1 and runs.count(0) == 1:
            raise ValueError
        return StartOver(step=0) if step == 3 and runs.count(0) == 1 else None

    ended = await run_dag(Dag.of([[], [0], [1], [0]]), run_step, fail_fast=False)
    assert ended.succeeded
    assert ended.errors == {}


async def test_a_failure_elsewhere_goes_on_blocking(autojump_clock: trio.testing.MockClock) -> None:
    #  0 -> 2, 1 -> 2, 0 -> 3: 1 fails for good; 3 starts 0 over; 2 still must not run.
    runs: list[int] = []

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        runs.append(step)
        await trio.sleep(step)
        if step == 1:
            raise ValueError
        return StartOver(step=0) if step == 3 and runs.count(0) == 1 else None

    ended = await run_dag(Dag.of([[], [], [0, 1], [0]]), run_step, fail_fast=False)
    assert list(ended.states) == [StepState.DONE, StepState.FAILED, StepState.BLOCKED, StepState.DONE]
    assert sorted(runs) == [0, 0, 1, 3, 3]


async def test_the_wish_of_a_step_that_was_overtaken_is_void(autojump_clock: trio.testing.MockClock) -> None:
    runs: list[int] = []

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        runs.append(step)
        with trio.CancelScope(shield=True):
            await trio.sleep(step)
        return StartOver(step=0) if step and runs.count(step) == 1 else None

    assert (await run_dag(Dag.of([[], [0], [0]]), run_step)).succeeded
    assert sorted(runs) == [0, 0, 1, 1, 2, 2]


async def test_an_overtaken_step_is_blocked_if_what_it_waits_for_then_fails(
    autojump_clock: trio.testing.MockClock,
) -> None:
    #  0 -> 1 -> 2 and 0 -> 3: while 2 holds on, 3 starts 0 over, and 1 fails the second time.
    runs: list[int] = []

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        runs.append(step)
        if step == 1 and runs.count(1) == 2:
            raise ValueError
        with trio.CancelScope(shield=True):
            await trio.sleep((0, 0, 9, 1)[step])
        return StartOver(step=0) if step == 3 and runs.count(3) == 1 else None

    ended = await run_dag(Dag.of([[], [0], [1], [0]]), run_step, fail_fast=False)
    assert list(ended.states) == [StepState.DONE, StepState.FAILED, StepState.BLOCKED, StepState.DONE]
    assert sorted(runs) == [0, 0, 1, 1, 2, 3, 3]


async def test_a_step_cannot_start_over_from_one_it_does_not_come_after() -> None:
    async def run_step(step: int, lane: Lane) -> StartOver | None:
        return StartOver(step=2) if step == 1 else None

    with pytest.raises(ValueError, match="does not come after"):
        await run_dag(DIAMOND, run_step)


async def test_a_stopped_run_does_not_start_over(autojump_clock: trio.testing.MockClock) -> None:
    async def run_step(step: int, lane: Lane) -> StartOver | None:
        if step == 0:
            await trio.sleep(1)
            raise ValueError
        with trio.CancelScope(shield=True):
            await trio.sleep(2)
        return StartOver(step=1)

    ended = await run_dag(independent(2), run_step)
    assert list(ended.states) == [StepState.FAILED, StepState.CANCELLED]


async def test_an_overtaken_step_is_not_run_again_once_the_run_has_stopped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    #  0 -> 1 and 0 -> 2: 1 starts 0 over at 1 s while 2 holds on in a shield until 9 s; 3 fails at 2 s.
    async def run_step(step: int, lane: Lane) -> StartOver | None:
        if step == 1:
            await trio.sleep(1)
            return StartOver(step=0)
        if step == 2:
            with trio.CancelScope(shield=True):
                await trio.sleep(9)
        if step == 3:
            await trio.sleep(2)
            raise ValueError
        return None

    ended = await run_dag(Dag.of([[], [0], [0], []]), run_step)
    assert ended.states[3] == StepState.FAILED
    assert ended.states[2] == StepState.CANCELLED
    assert trio.current_time() == 9


@given(timed_dags(), st.data())
def test_random_restarts_leave_every_step_done_on_the_last_results_before_it(
    timed: tuple[list[set[int]], list[int]], data: st.DataObject
) -> None:
    """Each step's last run starts when the last runs of all it waits for have ended; none overlaps itself."""
    before, durations = timed
    dag = Dag.of(before)
    targets: dict[int, int] = {}
    for step in data.draw(st.sets(st.integers(0, len(dag) - 1), max_size=3)):
        targets[step] = data.draw(
            st.sampled_from([first for first in range(len(dag)) if first == step or step in dag.descendants(first)])
        )
    running: set[int] = set()
    last_start: dict[int, float] = {}
    last_end: dict[int, float] = {}
    shielded = data.draw(st.sets(st.integers(0, len(dag) - 1), max_size=3))

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        assert step not in running
        running.add(step)
        last_start[step] = trio.current_time()
        try:
            with trio.CancelScope(shield=step in shielded):
                await trio.sleep(durations[step])
            first = targets.pop(step, None)
            return None if first is None else StartOver(step=first)
        finally:
            running.discard(step)
            last_end[step] = trio.current_time()

    cap = data.draw(st.none() | st.integers(1, 3))
    ended = in_virtual_time(lambda: run_dag(dag, run_step, max_in_flight=cap))
    assert ended.succeeded
    for step, others in enumerate(before):
        assert all(last_end[other] <= last_start[step] for other in others)


@given(timed_dags(), st.data())
def test_any_mixture_of_endings_comes_to_an_end_with_every_step_accounted_for(
    timed: tuple[list[set[int]], list[int]], data: st.DataObject
) -> None:
    """Failures, limits, restarts and single cancellations together, capped or not, failing fast or not."""
    before, durations = timed
    dag = Dag.of(before)
    acts = data.draw(
        st.lists(
            st.sampled_from(["sleep", "sleep", "return", "raise", "over", "late", "cancel"]),
            min_size=len(dag),
            max_size=len(dag),
        )
    )
    restarts = count(1)
    told: list[int] = []

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        if acts[step] == "return":
            return None
        if acts[step] == "cancel":
            lane.cancel(step, reason="by itself")
        await trio.sleep(durations[step])
        if acts[step] == "raise":
            raise ValueError(step)
        if acts[step] == "over" and next(restarts) < 4:
            return StartOver(step=min(step, *before[step], step))
        return None

    def limit_s(step: int) -> float:
        return durations[step] / 2 if acts[step] == "late" else math.inf

    ended = in_virtual_time(
        lambda: run_dag(
            dag,
            run_step,
            max_in_flight=data.draw(st.none() | st.integers(1, 3)),
            fail_fast=data.draw(st.booleans()),
            limit_s=limit_s,
            on_end=lambda step, state, error: told.append(step),
        )
    )
    assert all(state >= StepState.DONE for state in ended.states)
    for step, state in enumerate(ended.states):
        if state == StepState.DONE:
            assert all(ended.states[other] == StepState.DONE for other in before[step])
            assert acts[step] not in ("raise", "late", "cancel")
        else:
            assert step in told
        assert (state == StepState.FAILED) == (step in ended.errors)


# Steps that take no checkpoint


async def refused(step: int, lane: Lane) -> None:
    raise AssertionError(f"step {step} was to be done at once")


@given(timed_dags(), st.sets(st.integers(0, 24)))
def test_steps_done_at_once_start_after_what_they_wait_for_and_others_after_them(
    timed: tuple[list[set[int]], list[int]], at_once: set[int]
) -> None:
    before, durations = timed
    ended: list[int] = []

    def run_at_once(step: int) -> bool:
        if step not in at_once:
            return False
        assert before[step] <= set(ended)
        ended.append(step)
        return True

    async def run_step(step: int, lane: Lane) -> None:
        assert before[step] <= set(ended)
        assert step not in at_once
        await trio.sleep(durations[step])
        ended.append(step)

    assert in_virtual_time(lambda: run_dag(Dag.of(before), run_step, run_at_once=run_at_once)).succeeded
    assert sorted(ended) == list(range(len(before)))


async def test_steps_done_at_once_are_done_again_when_one_of_them_is_started_over() -> None:
    done: list[int] = []

    def run_at_once(step: int) -> bool:
        if step == 3:
            return False
        done.append(step)
        return True

    async def run_step(step: int, lane: Lane) -> StartOver | None:
        return StartOver(1) if done == [0, 1, 2] else None

    assert (await run_dag(DIAMOND, run_step, run_at_once=run_at_once)).succeeded
    assert done == [0, 1, 2, 1]


@pytest.mark.parametrize("fail_fast", [True, False])
async def test_a_step_done_at_once_that_fails_blocks_as_any_other(fail_fast: bool) -> None:
    def run_at_once(step: int) -> bool:
        if step == 1:
            raise ValueError("no")
        return True

    ended = await run_dag(DIAMOND, refused, run_at_once=run_at_once, fail_fast=fail_fast)
    other = StepState.BLOCKED if fail_fast else StepState.DONE
    assert list(ended.states) == [StepState.DONE, StepState.FAILED, other, StepState.BLOCKED]
    assert str(ended.errors[1]) == "no"


async def test_the_failure_of_a_step_done_at_once_cancels_what_is_running(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def run_at_once(step: int) -> bool:
        if step == 2:
            raise ValueError("no")
        return False

    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(10 if step == 0 else 1)

    ended = await run_dag(Dag.of([[], [], [1]]), run_step, run_at_once=run_at_once)
    assert list(ended.states) == [StepState.CANCELLED, StepState.DONE, StepState.FAILED]
    assert trio.current_time() == 1


async def test_what_the_listener_raises_of_a_step_done_at_once_ends_the_run() -> None:
    def run_at_once(step: int) -> bool:
        raise ValueError("no")

    def on_end(step: int, state: StepState, error: Exception | None) -> None:
        raise LookupError("listener")

    with pytest.raises(LookupError, match="listener"):
        await run_dag(CHAIN, refused, run_at_once=run_at_once, on_end=on_end)


async def test_a_step_that_is_not_done_at_once_begins_before_those_that_became_ready_after_it() -> None:
    began: list[int] = []

    def run_at_once(step: int) -> bool:
        if step != 1:
            began.append(step)
        return step != 1

    async def run_step(step: int, lane: Lane) -> None:
        began.append(step)

    assert (await run_dag(independent(4), run_step, run_at_once=run_at_once)).succeeded
    assert began == [0, 1, 2, 3]


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_runs_beside_the_steps_ends_with_them_and_does_not_begin_where_none_waits(
    at_once: bool, autojump_clock: trio.testing.MockClock
) -> None:
    beside: list[str] = []

    async def watch() -> None:
        beside.append("began")
        try:
            await trio.sleep_forever()
        finally:
            beside.append("ended")

    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(1)
        assert beside == ["began"]

    assert (await run_dag(CHAIN, run_step, run_at_once=lambda _: at_once, beside=watch)).succeeded
    assert beside == ([] if at_once else ["began", "ended"])
    assert trio.current_time() == (0 if at_once else len(CHAIN))


async def test_the_failure_of_what_runs_beside_the_steps_ends_the_run() -> None:
    async def fail() -> None:
        raise LookupError("beside")

    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep_forever()

    with pytest.raises(LookupError, match="beside"):
        await run_dag(CHAIN, run_step, beside=fail)


class Spawned(trio.abc.Instrument):
    """Counts tasks."""

    def __init__(self) -> None:
        self.tasks = 0

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.tasks += 1


@pytest.mark.parametrize(("waits_s", "fewest", "most"), [(0, 1, 200), (1, 1000, 1010)])
async def test_steps_that_soon_end_share_a_few_tasks_and_those_that_wait_have_one_each(
    waits_s: int, fewest: int, most: int, autojump_clock: trio.testing.MockClock
) -> None:
    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(waits_s)

    spawned = Spawned()
    trio.lowlevel.add_instrument(spawned)
    await run_dag(independent(1000), run_step)
    trio.lowlevel.remove_instrument(spawned)
    assert fewest <= spawned.tasks <= most
    assert trio.current_time() == waits_s


async def test_steps_that_wait_are_all_at_work_beside_many_that_soon_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def run_step(step: int, lane: Lane) -> None:
        await trio.sleep(step % 2)

    await run_dag(independent(1000), run_step)
    assert trio.current_time() == 1


async def test_steps_done_at_once_see_no_context_variable_that_another_set() -> None:
    seen: list[str] = []

    def run_at_once(step: int) -> bool:
        seen.append(ambient.get())
        ambient.set(f"step {step}")
        return True

    await run_dag(independent(20), refused, run_at_once=run_at_once)
    assert seen == ["clean"] * 20


async def test_steps_done_at_once_let_other_tasks_run_and_heed_a_cancellation() -> None:
    done = 0

    def run_at_once(step: int) -> bool:
        nonlocal done
        done += 1
        return True

    async def run() -> None:
        await run_dag(independent(2000), refused, run_at_once=run_at_once)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        while not done:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert 0 < done <= 2 * YIELD_STEPS
