"""Calls that were made and will not be awaited: closed, for Python warns of others."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, cast


def discard(calls: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Close them, and the calls that those which never began were given: `parallel(f(x))` within a `parallel`."""
    waiting = list(calls)
    while waiting:
        call = waiting.pop()
        if inspect.iscoroutine(call) and call.cr_frame is None:
            continue  # it has ended, as most have by now
        if inspect.iscoroutine(call) and inspect.getcoroutinestate(call) == inspect.CORO_CREATED:
            for value in inspect.getcoroutinelocals(call).values():
                given = cast("Sequence[object]", value) if isinstance(value, (tuple, list)) else [value]
                waiting += [each for each in given if inspect.iscoroutine(each)]
        call.close()
