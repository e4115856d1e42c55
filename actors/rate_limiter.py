"""`RateLimiter`: how fast each model may be called.

Two bounds, both per model and first come, first served:

- Requests and tokens per minute where they are configured: a bucket that holds one minute's worth and refills steadily,
  as the providers' own do. Kept as the generic cell rate algorithm (ITU-T I.371): one timestamp, no timer.
- Calls in flight once the provider has answered 429: halved then, and one more for every full round that went well (TCP's
  additive increase, multiplicative decrease: Chiu and Jain, 1989).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import trio

MINUTE_S = 60.0


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider allows for one model; `None`: unlimited."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            limit = getattr(self, name)
            if limit is not None and not limit >= 1:  # NaN is neither
                raise ValueError(f"RateLimit({name}={limit!r}): pass 1 or more, or None for no limit")


class RateLimiter:
    """The pace of every model, by name. Unlimited unless configured or throttled."""

    def __init__(self, limits: Mapping[str, RateLimit] | None = None) -> None:
        self._limits = dict(limits or {})
        self._paces: dict[str, _Pace] = {}

    async def slot(self, model: str, *, tokens: int) -> Slot:
        """Wait until one call of `model` with this many tokens may be sent; it counts as in flight until the slot is left.

        Does not checkpoint when it may be sent at once. A wait that is cancelled takes nothing.
        """
        pace = self._pace(model)
        await pace.enter(tokens)
        return Slot(pace)

    def throttled(self, model: str, *, retry_after_s: float | None = None) -> None:
        """The provider answered 429: send nothing for `retry_after_s`, and then half as much at a time.

        Call it inside the slot of the call that was refused.
        """
        self._pace(model).throttle(retry_after_s or 0.0)

    def _pace(self, model: str) -> _Pace:
        if model not in self._paces:
            self._paces[model] = _Pace(self._limits.get(model, RateLimit()))
        return self._paces[model]


class Slot:
    """One call in flight, until it is left."""

    __slots__ = ("_pace",)

    def __init__(self, pace: _Pace) -> None:
        self._pace = pace

    def leave(self) -> None:
        self._pace.leave()


class _Pace:
    """The pace of one model."""

    def __init__(self, limit: RateLimit) -> None:
        self._requests = _Bucket(limit.requests_per_minute)
        self._tokens = _Bucket(limit.tokens_per_minute)
        self._paused_until = -math.inf
        self._window = math.inf
        """How many calls may be in flight; grows by fractions."""
        self._in_flight = 0
        self._stale = 0
        """Calls in flight since before the window was last cut: their outcome says nothing about the new one."""
        self._turn = trio.Lock()
        self._changed = trio.Event()

    async def enter(self, tokens: int) -> None:
        if self._turn.locked() or self._ready_at(tokens) > trio.current_time():
            # trio's lock is handed on in order: the first in line waits for its time, the others for it.
            async with self._turn:
                await self._until_ready(tokens)
        now = trio.current_time()
        self._requests.take(1, now)
        self._tokens.take(tokens, now)
        self._in_flight += 1

    def leave(self) -> None:
        self._in_flight -= 1
        if self._stale:
            self._stale -= 1
        else:
            self._window += 1 / self._window
        self._wake()

    def throttle(self, pause_s: float) -> None:
        self._paused_until = max(self._paused_until, trio.current_time() + pause_s)
        # Fifty calls sent together are refused together; that is one reason to slow down, not fifty.
        if not self._stale:
            self._window = max(1.0, self._in_flight / 2)
            self._stale = self._in_flight
        self._wake()

    async def _until_ready(self, tokens: int) -> None:
        while (ready_at := self._ready_at(tokens)) > trio.current_time():
            with trio.move_on_at(ready_at):
                await self._changed.wait()

    def _ready_at(self, tokens: int) -> float:
        if self._in_flight + 1 > self._window:
            return math.inf
        return max(self._paused_until, self._requests.ready_at(1), self._tokens.ready_at(tokens))

    def _wake(self) -> None:
        if self._turn.locked():
            self._changed.set()
            self._changed = trio.Event()


class _Bucket:
    """One minute's worth of something, refilled steadily; full at first."""

    def __init__(self, per_minute: int | None) -> None:
        self._capacity = math.inf if per_minute is None else float(per_minute)
        self._refill_s = 0.0 if per_minute is None else MINUTE_S / per_minute
        """Seconds until one unit is back."""
        self._full_at = -math.inf

    def ready_at(self, amount: int) -> float:
        """When `amount` can be taken; of more than the bucket holds, when it is full."""
        if not self._refill_s:
            return -math.inf
        return self._full_at - max(0.0, self._capacity - amount) * self._refill_s

    def take(self, amount: int, now: float) -> None:
        self._full_at = max(self._full_at, now) + amount * self._refill_s
