"""Whether an exception ends a step from outside or is the step's own failure, and how the record tells it."""

from __future__ import annotations

import trio

from stratum.contracts.error_groups import is_group
from stratum.contracts.errors import described


def was_stopped(error: BaseException) -> bool:
    """Cancelled or interrupted, and nothing else; also in the groups that nurseries on the way out make of it.

    Connecting, for one, opens a nursery, so that a cancelled call leaves the HTTP client as a group.
    """
    if isinstance(error, (trio.Cancelled, KeyboardInterrupt)):
        return True
    return is_group(error) and all(map(was_stopped, error.exceptions))


def ended_by(error: BaseException) -> str:
    """An error for the record: of a cancellation its reason, for its text has the addresses of tasks."""
    if isinstance(error, trio.Cancelled):
        return (error.reason or error.source)[:500]
    if is_group(error) and was_stopped(error):
        return ended_by(error.exceptions[0])
    return described(error)
