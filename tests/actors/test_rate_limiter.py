"""The rate limiter, in virtual time: exact rates, first come first served, adapting to 429s."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from stratum.actors.rate_limiter import RateLimit, RateLimiter


@asynccontextmanager
async def in_slot(limiter: RateLimiter, model: str, *, tokens: int) -> AsyncGenerator[None]:
    slot = await limiter.slot(model, tokens=tokens)
    try:
        yield
    finally:
        slot.leave()


async def send(limiter: RateLimiter, times: list[float], *, tokens: int = 1, takes_s: float = 0) -> None:
    async with in_slot(limiter, "m", tokens=tokens):
        times.append(trio.current_time())
        await trio.sleep(takes_s)


async def test_without_limits_nothing_waits_and_nothing_checkpoints(autojump_clock: MockClock) -> None:
    limiter = RateLimiter()
    with trio.CancelScope() as scope:
        scope.cancel()
        async with in_slot(limiter, "m", tokens=10**9):
            pass
    assert not scope.cancelled_caught


async def test_requests_beyond_a_minutes_worth_are_spread_evenly(autojump_clock: MockClock) -> None:
    limiter = RateLimiter({"m": RateLimit(requests_per_minute=60)})
    times: list[float] = []
    async with trio.open_nursery() as nursery:
        for _ in range(63):
            nursery.start_soon(send, limiter, times)
    assert times == [0.0] * 60 + [1.0, 2.0, 3.0]


async def test_tokens_are_counted_as_requests_are(autojump_clock: MockClock) -> None:
    limiter = RateLimiter({"m": RateLimit(tokens_per_minute=6000)})
    times: list[float] = []
    async with trio.open_nursery() as nursery:
        for tokens in (6000, 100, 300):
            await wait_all_tasks_blocked()
            nursery.start_soon(partial(send, limiter, times, tokens=tokens))
    assert times == [0.0, 1.0, 4.0]


async def test_a_request_larger_than_a_minutes_worth_waits_for_a_full_bucket_and_is_paid_back(
    autojump_clock: MockClock,
) -> None:
    limiter = RateLimiter({"m": RateLimit(tokens_per_minute=600)})
    times: list[float] = []
    await send(limiter, times, tokens=60)
    await send(limiter, times, tokens=1200)
    await send(limiter, times, tokens=10)
    assert times == [0.0, 6.0, 67.0]


async def test_models_do_not_wait_for_each_other(autojump_clock: MockClock) -> None:
    limiter = RateLimiter({"slow": RateLimit(requests_per_minute=1)})
    async with in_slot(limiter, "slow", tokens=1), in_slot(limiter, "m", tokens=1):
        pass
    async with in_slot(limiter, "m", tokens=1):
        assert trio.current_time() == 0.0
    async with in_slot(limiter, "slow", tokens=1):
        assert trio.current_time() == 60.0


async def test_a_small_request_does_not_overtake_a_large_one(autojump_clock: MockClock) -> None:
    limiter = RateLimiter({"m": RateLimit(tokens_per_minute=60)})
    order: list[int] = []

    async def ask(tokens: int) -> None:
        async with in_slot(limiter, "m", tokens=tokens):
            order.append(tokens)

    await ask(60)
    async with trio.open_nursery() as nursery:
        for tokens in (50, 1, 20, 2):
            nursery.start_soon(ask, tokens)
            await wait_all_tasks_blocked()
    assert order == [60, 50, 1, 20, 2]
    assert trio.current_time() == 73.0


async def test_who_gives_up_waiting_takes_nothing(autojump_clock: MockClock) -> None:
    limiter = RateLimiter({"m": RateLimit(requests_per_minute=1)})
    times: list[float] = []
    await send(limiter, times)
    with trio.move_on_after(30):
        await send(limiter, times)
    await send(limiter, times)
    assert times == [0.0, 60.0]


async def test_a_throttled_model_is_paused_as_long_as_the_provider_said(autojump_clock: MockClock) -> None:
    limiter = RateLimiter()
    times: list[float] = []
    async with in_slot(limiter, "m", tokens=1):
        limiter.throttled("m", retry_after_s=7)
    async with in_slot(limiter, "other", tokens=1):
        assert trio.current_time() == 0.0
    await send(limiter, times)
    assert times == [7.0]


async def test_a_pause_that_grows_while_somebody_waits_holds_for_them(autojump_clock: MockClock) -> None:
    limiter = RateLimiter()
    times: list[float] = []
    async with trio.open_nursery() as nursery, in_slot(limiter, "m", tokens=1), in_slot(limiter, "m", tokens=1):
        limiter.throttled("m", retry_after_s=5)
        nursery.start_soon(send, limiter, times)
        await trio.sleep(3)
        limiter.throttled("m", retry_after_s=10)
    assert times == [13.0]


async def test_after_a_throttle_half_as_many_are_in_flight(autojump_clock: MockClock) -> None:
    limiter = RateLimiter()
    in_flight: list[int] = [0]
    most: list[int] = [0]

    async def call(throttled: bool) -> None:
        async with in_slot(limiter, "m", tokens=1):
            in_flight[0] += 1
            most[0] = max(most[0], in_flight[0])
            await trio.sleep(1)
            if throttled:
                limiter.throttled("m")
            in_flight[0] -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(call, True)
    assert most == [16]
    most[0] = 0
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(call, False)
    assert most == [8], "sixteen refused together are one reason to slow down, not sixteen"
    most[0] = 0
    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(call, False)
    assert 9 <= most[0] <= 13, "one more for every full round that went well"


async def test_throttled_again_and_again_one_call_is_still_sent(autojump_clock: MockClock) -> None:
    limiter = RateLimiter()
    for _ in range(20):
        async with in_slot(limiter, "m", tokens=1):
            limiter.throttled("m", retry_after_s=1)
    assert trio.current_time() == 19.0


async def test_a_call_that_fails_gives_its_slot_back(autojump_clock: MockClock) -> None:
    limiter = RateLimiter()
    with pytest.raises(KeyError):
        async with in_slot(limiter, "m", tokens=1):
            limiter.throttled("m")
            raise KeyError
    async with in_slot(limiter, "m", tokens=1):
        pass


@pytest.mark.parametrize("limits", [{"requests_per_minute": 0}, {"tokens_per_minute": -1}])
def test_a_limit_below_one_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="pass 1 or more, or None for no limit"):
        RateLimit(**limits)


@given(
    per_minute=st.integers(1, 500),
    requests=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 40)), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_it_may(per_minute: int, requests: list[tuple[int, int]]) -> None:
    """In any time of t seconds at most a full bucket and what refilled meanwhile is admitted."""
    admitted: list[tuple[float, int]] = []

    async def ask(limiter: RateLimiter, tokens: int, after_s: int) -> None:
        await trio.sleep(after_s)
        async with in_slot(limiter, "m", tokens=tokens):
            admitted.append((trio.current_time(), tokens))

    async def main() -> None:
        limiter = RateLimiter({"m": RateLimit(tokens_per_minute=per_minute)})
        async with trio.open_nursery() as nursery:
            for tokens, after_s in requests:
                nursery.start_soon(ask, limiter, min(tokens, per_minute), after_s)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    for first, (began, _) in enumerate(admitted):
        taken = 0
        for at, tokens in admitted[first:]:
            taken += tokens
            assert taken <= per_minute + (at - began) * per_minute / 60 + 1e-6
    assert len(admitted) == len(requests)
