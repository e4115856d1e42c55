"""When a person has to have answered: a moment by the wall clock, for the process may be down meanwhile."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta


def answer_by(timeout_s: float | None) -> str:
    """So many seconds from now, in UTC and ISO 8601; empty: no deadline."""
    return "" if timeout_s is None else (datetime.now(UTC) + timedelta(seconds=timeout_s)).isoformat()


def seconds_left(moment: str) -> float:
    """Until then: `inf` where there is no deadline, 0 where it has passed."""
    if not moment:
        return math.inf
    return max(0.0, (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds())
