"""`retry_after_s`: how long a provider asks to be left alone."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping
from datetime import datetime


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `retry-after-ms` or from `retry-after` in seconds or as a date; `None` where neither makes sense."""
    wait_s = _number(headers.get("retry-after-ms"), per_second=1000)
    if wait_s is None:
        asked = headers.get("retry-after")
        wait_s = _number(asked, per_second=1)
        if wait_s is None and asked is not None:
            wait_s = _until(asked)
    return wait_s


def _number(value: str | None, *, per_second: int) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    # "inf", and more digits than a float has, would wait for ever.
    return max(0.0, number / per_second) if math.isfinite(number) else None


def _until(date: str) -> float | None:
    try:
        at: datetime = email.utils.parsedate_to_datetime(date)
        return max(0.0, at.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
