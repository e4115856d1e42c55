"""`Supervisor`: keeps long-lived tasks running, and stops everything when it cannot.

The policies are Erlang/OTP's transient children under one_for_one, with its limit on restart intensity:
https://www.erlang.org/doc/system/sup_princ.html
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import trio

from stratum.contracts.error_groups import leaves

Policy = Literal["restart", "stop"]
"""What a child's failure does: `restart` starts it again, `stop` ends the supervisor with that failure."""

MAX_RESTARTS = 3
WITHIN_S = 60.0


class Supervisor:
    """Owns the tasks of long-lived children. Opened by `open_supervisor`."""

    def __init__(self, nursery: trio.Nursery, *, name: str, max_restarts: int, within_s: float) -> None:
        self.name = name
        self._nursery = nursery
        self._max_restarts = max_restarts
        self._within_s = within_s
        self._restarts: deque[float] = deque(maxlen=max_restarts + 1)

    def start(self, child: Callable[[], Awaitable[object]], *, name: str, policy: Policy) -> None:
        """Run `child` in a task of its own. One that returns is not started again."""
        self._nursery.start_soon(self._supervise, child, policy, name=f"{self.name}/{name}")

    async def _supervise(self, child: Callable[[], Awaitable[object]], policy: Policy) -> None:
        while True:
            try:
                await child()
            except Exception:
                if policy == "stop" or self._too_many_restarts():
                    raise
            else:
                return

    def _too_many_restarts(self) -> bool:
        # Counted over all children: one that fails as soon as it is started may fail because of another.
        now = trio.current_time()
        self._restarts.append(now)
        return len(self._restarts) > self._max_restarts and now - self._restarts[0] <= self._within_s


@asynccontextmanager
async def open_supervisor(
    *, name: str, max_restarts: int = MAX_RESTARTS, within_s: float = WITHIN_S
) -> AsyncGenerator[Supervisor, None]:
    """A supervisor for as long as the block lasts; leaving the block cancels its children.

    A failure that ends it cancels the block and leaves it as it was raised, though the block and other children may
    have met with it too; only different ones at once leave it as an `ExceptionGroup`. More than `max_restarts` restarts within `within_s` seconds are such a failure.
    """
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            yield Supervisor(nursery, name=name, max_restarts=max_restarts, within_s=within_s)
            nursery.cancel_scope.cancel(reason=f"{name} is closing")
    except BaseExceptionGroup as group:
        failure = _only(group)
    if failure is not None:
        # Out here, so that it keeps its own cause and context.
        raise failure


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in a group; the same one met with in several places is one, and an interrupt is what it is."""
    errors = list(leaves(group))
    first, *others = [error for error in errors if isinstance(error, KeyboardInterrupt)] or errors
    alike = all(type(other) is type(first) and str(other) == str(first) for other in others)
    return first if alike else group
