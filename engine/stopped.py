"""`was_stopped`: whether an exception ends a step from outside, or is the step's own failure."""

from __future__ import annotations

import trio


def was_stopped(error: BaseException) -> bool:
    """Cancelled or interrupted, and nothing else; also in the groups that nurseries on the way out make of it.

    Connecting, for one, opens a nursery, so that a cancelled call leaves the HTTP client as a group.
    """
    stops = (trio.Cancelled, KeyboardInterrupt)
    if isinstance(error, BaseExceptionGroup):
        _, rest = error.split(stops)
        return rest is None
    return isinstance(error, stops)
