"""`Timings`: where the time of a session went, for whoever asks `stratum run --profile`.

Above: line, run, runtime, infer_call, compute, await_human and a plan's steps pass what they wait for through `timed`.
At any moment the time that passes is shared out among the spans that are open: so the parts of a run with a hundred
branches add up to what its clock says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

import trio

TimedPlace = Literal["start", "model", "again", "budget", "ensure", "journal", "compute", "command", "agent", "person"]
"""`start`: of a provider that has to start something, as the embedded model does. `again`: the pause before a request is repeated."""
TIMED_PLACES: Final[tuple[TimedPlace, ...]] = (
    "start",
    "model",
    "again",
    "budget",
    "journal",
    "ensure",
    "compute",
    "command",
    "agent",
    "person",
)

T = TypeVar("T")


class Timings:
    """Seconds by place, and how often each was entered."""

    def __init__(self) -> None:
        self.counts: Counter[TimedPlace] = Counter()
        """Spans begun."""
        self._spent: dict[TimedPlace, float] = dict.fromkeys(TIMED_PLACES, 0.0)
        self._open: dict[TimedPlace, int] = dict.fromkeys(TIMED_PLACES, 0)
        self._open_in_all = 0
        self._elsewhere = 0.0
        self._since: float | None = None

    async def timed(self, place: TimedPlace, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives; the time that it takes is `place`'s."""
        with _Span(self, place):
            return await work

    @property
    def seconds(self) -> dict[TimedPlace, float]:
        """Of the clock, by place; they add up, with `elsewhere`, to the time since the first span."""
        self._advance()
        return dict(self._spent)

    @property
    def elsewhere(self) -> float:
        """Seconds in which no span was open: the program's own code, and the loop's."""
        self._advance()
        return self._elsewhere

    def begin(self) -> None:
        """Count from now on."""
        self._since = trio.current_time()

    def enter(self, place: TimedPlace) -> None:
        self.counts[place] += 1
        self.go_on(place)

    def go_on(self, place: TimedPlace) -> None:
        self._advance()
        self._open[place] += 1
        self._open_in_all += 1

    def leave(self, place: TimedPlace) -> None:
        self._advance()
        self._open[place] -= 1
        self._open_in_all -= 1

    def _advance(self) -> None:
        now = trio.current_time()
        passed = now - (now if self._since is None else self._since)
        self._since = now
        if not self._open_in_all:
            self._elsewhere += passed
            return
        for place, open_spans in self._open.items():
            if open_spans:
                self._spent[place] += passed * open_spans / self._open_in_all


class _Span:
    """One within another, as of a judge's call within a condition, stops the outer one's clock."""

    __slots__ = ("_inside", "_outer", "_place", "_timings", "_token")

    def __init__(self, timings: Timings, place: TimedPlace) -> None:
        self._timings = timings
        self._place: TimedPlace = place
        self._inside = 0
        self._outer: _Span | None = None

    def __enter__(self) -> None:
        self._outer = _current.get()
        self._token = _current.set(self)
        if self._outer is not None:
            self._outer.count_inside(+1)
        self._timings.enter(self._place)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timings.leave(self._place)
        _current.reset(self._token)
        if self._outer is not None:
            self._outer.count_inside(-1)

    def count_inside(self, change: int) -> None:
        before = self._inside
        self._inside += change
        if before == 0:
            self._timings.leave(self._place)
        elif self._inside == 0:
            self._timings.go_on(self._place)


_current: ContextVar[_Span | None] = ContextVar("stratum_timed_span", default=None)
