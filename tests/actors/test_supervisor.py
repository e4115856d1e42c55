"""The supervisor: restarts up to a limit, and failures that come out as they were raised."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from stratum.actors.supervisor import MAX_RESTARTS, open_supervisor
from stratum.contracts.errors import JournalUnavailable


class Flaky:
    """A child that fails `failures` times, `lives_s` after each start, and then runs for ever."""

    def __init__(self, *, failures: int, lives_s: float = 0) -> None:
        self.starts = 0
        self._failures = failures
        self._lives_s = lives_s

    async def run(self) -> None:
        self.starts += 1
        await trio.sleep(self._lives_s)
        if self.starts <= self._failures:
            raise ZeroDivisionError(f"failure {self.starts}")
        await trio.sleep_forever()


async def test_a_child_that_fails_is_started_again(autojump_clock: MockClock) -> None:
    child = Flaky(failures=MAX_RESTARTS)
    async with open_supervisor(name="s") as supervisor:
        supervisor.start(child.run, name="flaky", policy="restart")
        await trio.sleep(1)
    assert child.starts == MAX_RESTARTS + 1


async def test_a_child_that_fails_too_often_ends_the_supervisor(autojump_clock: MockClock) -> None:
    child = Flaky(failures=100, lives_s=1)
    with pytest.raises(ZeroDivisionError, match="failure 4"):
        async with open_supervisor(name="s", max_restarts=3, within_s=10) as supervisor:
            supervisor.start(child.run, name="flaky", policy="restart")
            await trio.sleep_forever()
    assert trio.current_time() == 4.0


async def test_failures_far_apart_are_not_too_many(autojump_clock: MockClock) -> None:
    child = Flaky(failures=20, lives_s=11)
    async with open_supervisor(name="s", max_restarts=1, within_s=10) as supervisor:
        supervisor.start(child.run, name="flaky", policy="restart")
        await trio.sleep(1000)
    assert child.starts == 21


async def test_restarts_are_counted_over_all_children(autojump_clock: MockClock) -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_supervisor(name="s", max_restarts=3) as supervisor:
            for number in range(2):
                supervisor.start(Flaky(failures=2).run, name=f"flaky{number}", policy="restart")
            await trio.sleep_forever()


async def test_a_child_that_must_not_fail_stops_the_work_at_once(autojump_clock: MockClock) -> None:
    """DESIGN 5: if the ledger or the journal dies, work stops."""
    error = JournalUnavailable(path="j", problem="no space left", fix="free some")

    async def dies() -> None:
        await trio.sleep(2)
        raise error from OSError("the disk")

    with pytest.raises(JournalUnavailable) as caught:
        async with open_supervisor(name="s") as supervisor:
            supervisor.start(dies, name="journal", policy="stop")
            await trio.sleep_forever()
    assert caught.value is error
    assert isinstance(error.__cause__, OSError), "an error keeps its cause on the way out"
    assert trio.current_time() == 2.0


async def test_leaving_the_block_cancels_the_children(autojump_clock: MockClock) -> None:
    reasons: list[str | None] = []

    async def waits() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            reasons.append(cancelled.reason)
            raise

    async with open_supervisor(name="the session") as supervisor:
        supervisor.start(waits, name="waits", policy="restart")
        await trio.sleep(1)
    assert reasons == ["the session is closing"]


async def test_a_child_that_returns_is_not_started_again(autojump_clock: MockClock) -> None:
    starts: list[None] = []

    async def returns() -> None:
        starts.append(None)

    async with open_supervisor(name="s") as supervisor:
        supervisor.start(returns, name="returns", policy="restart")
        await trio.sleep(1)
    assert len(starts) == 1


async def test_an_error_of_the_block_itself_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with open_supervisor(name="s") as supervisor:
            supervisor.start(Flaky(failures=0).run, name="child", policy="restart")
            raise KeyError("mine")


async def test_several_failures_at_once_come_out_together() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError, KeyError):
        async with open_supervisor(name="s") as supervisor:
            supervisor.start(fails, name="child", policy="stop")
            raise KeyError("mine")


async def test_a_failure_wrapped_in_groups_comes_out_unwrapped() -> None:
    async def fails() -> None:
        raise ExceptionGroup("a nursery inside", [ZeroDivisionError()])

    with pytest.raises(ZeroDivisionError):
        async with open_supervisor(name="s") as supervisor:
            supervisor.start(fails, name="child", policy="stop")
            await trio.sleep_forever()


async def test_being_cancelled_from_outside_is_not_a_failure() -> None:
    child = Flaky(failures=0)
    with trio.CancelScope() as scope:
        async with open_supervisor(name="s") as supervisor:
            supervisor.start(child.run, name="child", policy="restart")
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_the_same_failure_met_with_in_several_places_is_one() -> None:
    """A journal that dies fails its own task and every task that appends."""

    async def fail() -> None:
        raise JournalUnavailable(path="stratum.db", problem="the disk is full", fix="free some space")

    with pytest.raises(JournalUnavailable, match="the disk is full"):
        async with open_supervisor(name="s") as supervisor:
            supervisor.start(fail, name="journal", policy="stop")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)
                nursery.start_soon(fail)


async def test_an_interrupt_comes_out_as_one_whatever_else_failed_on_the_way() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with open_supervisor(name="s"), trio.open_nursery() as nursery:
            nursery.start_soon(interrupted)
            raise ValueError("at the same moment")
