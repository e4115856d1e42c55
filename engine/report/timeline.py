"""`chrome_trace`: a run's steps and attempts as trace events, for Perfetto and Chrome's tracing page.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (complete events, "ph": "X").
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Bar(NamedTuple):
    """One step, or one attempt of it, on the timeline."""

    name: str
    step: str
    start_us: int
    end_us: int
    shown: dict[str, Any]
    """What a click on it shows."""

    @classmethod
    def starting(cls, name: str, *, step: str, at: str, ms: Any, **shown: Any) -> Bar:
        """From a time in ISO 8601, and how long it took."""
        start_us = _micros(at)
        return cls(name, step, start_us, start_us + int(ms or 0) * 1000, shown)

    @classmethod
    def ending(cls, name: str, *, step: str, at: str, ms: Any, **shown: Any) -> Bar:
        end_us = _micros(at)
        return cls(name, step, end_us - int(ms or 0) * 1000, end_us, shown)


def chrome_trace(run: str, bars: Iterable[Bar]) -> dict[str, Any]:
    """The file's content. Bars on one track nest or follow each other; what overlaps otherwise is on the next track."""
    tracks: list[list[int]] = []  # for each, when the bars around its next one end, the outermost first
    events: list[dict[str, Any]] = [{"ph": "M", "pid": 1, "name": "process_name", "args": {"name": f"stratum {run}"}}]
    # Of bars that start together the longest is around the others.
    for bar in sorted(bars, key=lambda bar: (bar.start_us, -bar.end_us)):
        events.append(
            {
                "ph": "X",
                "pid": 1,
                "tid": _track(tracks, bar) + 1,
                "name": bar.name,
                "cat": "step",
                "ts": bar.start_us,
                "dur": bar.end_us - bar.start_us,
                "args": {"step": bar.step, **bar.shown},
            }
        )
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _track(tracks: list[list[int]], bar: Bar) -> int:
    """The first track on which the bar is inside of all that is still open there."""
    for number, ends in enumerate(tracks):
        while ends and ends[-1] <= bar.start_us:
            ends.pop()
        if not ends or bar.end_us <= ends[-1]:
            ends.append(bar.end_us)
            return number
    tracks.append([bar.end_us])
    return len(tracks) - 1


def _micros(at: str) -> int:
    """Of UTC times without an offset, too."""
    parsed = datetime.fromisoformat(at)
    return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1_000_000)
