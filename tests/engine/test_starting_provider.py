"""A provider that has to start something, as the embedded model does: who waits for it, and whose clock stands."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from stratum import Budget, BudgetExceeded, Flow, compute, flow, infer, open_runtime, parallel
from stratum.contracts.errors import ModelUnavailable
from stratum.engine.providers.scripted import Reply, Scripted, scripted


class Starting(Scripted):
    """Takes a minute and a half to start; then each answer takes `delay_s`."""

    def __init__(self, *, delay_s: float = 0, fails: bool = False) -> None:
        vars(self).update(vars(scripted(otherwise=Reply(value="rain", delay_s=delay_s))))
        self.starts = 0
        self._fails = fails

    async def ready(self) -> None:
        self.starts += 1
        await trio.sleep(90)
        if self._fails:
            raise ModelUnavailable(message="there is no network", fix="fetch it first")


@compute(inline=True)
def double(number: int) -> int:
    return 2 * number


@infer(intent="Say a word", budget=Budget(ms=5000), model="m")
def say(about: str) -> str: ...


@infer(intent="Say a word", model="m")
def say_in_time(about: str) -> str: ...


@flow(budget=Budget(ms=5000))
async def doubled(number: int) -> int:
    return await double(number)


@flow(budget=Budget(ms=5000))
async def said() -> list[str]:
    first = await say("rain")
    return [first, *(await parallel(*(say_in_time(f"{number}") for number in range(3))))]


@flow(budget=Budget(ms=5000))
async def said_at_once() -> list[str]:
    return list(await parallel(*(say_in_time(f"{number}") for number in range(3))))


async def test_what_calls_no_model_does_not_wait_for_one(autojump_clock: MockClock) -> None:
    provider = Starting(fails=True)
    async with open_runtime(provider=provider, journal=None) as runtime:
        assert await runtime.run(doubled, 4) == 8
    assert provider.starts == 0
    assert trio.current_time() < 1


@pytest.mark.parametrize("step", [said, said_at_once])
async def test_while_it_starts_no_budgets_clock_runs(step: Flow[[], list[str]], autojump_clock: MockClock) -> None:
    async with open_runtime(provider=Starting(delay_s=1), journal=None) as runtime:
        began = trio.current_time()
        words = await runtime.run(step)
        assert set(words) == {"rain"}
        assert 91 <= trio.current_time() - began < 95


async def test_a_call_of_its_own_has_its_whole_time_once_it_has_started(autojump_clock: MockClock) -> None:
    async with open_runtime(provider=Starting(delay_s=4), journal=None) as runtime:
        assert await runtime.run(say, "rain") == "rain"
    async with open_runtime(provider=Starting(delay_s=6), journal=None) as runtime:
        with pytest.raises(BudgetExceeded):
            await runtime.run(say, "rain")


async def test_a_profile_has_a_place_for_it(autojump_clock: MockClock) -> None:
    async with open_runtime(provider=Starting(delay_s=2), journal=None) as runtime:
        timings = runtime.start_timing()
        await runtime.run(said)
        assert (timings.seconds["start"], timings.counts["start"]) == (90, 1)
        assert (timings.seconds["model"], timings.elsewhere) == (4, 0)


async def test_it_is_waited_for_once(autojump_clock: MockClock) -> None:
    provider = Starting()
    async with open_runtime(provider=provider, journal=None) as runtime:
        await runtime.ready()
        began = trio.current_time()
        assert await runtime.run(say, "rain") == "rain"
        assert trio.current_time() - began < 1
    assert provider.starts == 1


async def test_one_that_does_not_start_fails_the_call_before_anything_is_reserved(autojump_clock: MockClock) -> None:
    async with open_runtime(provider=Starting(fails=True), journal=None) as runtime:
        with pytest.raises(ModelUnavailable, match="there is no network"):
            await runtime.run(say, "rain")
        kinds = {type(record).__name__ for record in await runtime.journal.read(runtime.session)}
    assert "Reserved" not in kinds
