"""`run`: async code from a script, which has no event loop of its own; and `called`, for every `run` that there is."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

import trio

from stratum.engine.event_loop import refuse_inside_loop

P = ParamSpec("P")
R = TypeVar("R")


@overload
def run(call: Coroutine[Any, Any, R], /) -> R: ...
@overload
def run(function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
def run(target: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Run a flow, a step or any async function from synchronous code, in a trio run of its own.

    Also takes a coroutine, already called: `stratum.run(classify("hello"))`.

    Raises:
        RuntimeError: called inside a running event loop.
        TypeError: what was given is none of these.
    """
    coroutine = target if inspect.iscoroutine(target) else None
    try:
        refuse_inside_loop("stratum.run()")
    except RuntimeError:
        if coroutine is not None:
            coroutine.close()
        raise

    async def main() -> Any:
        if coroutine is not None:
            return await coroutine
        return await called(target, *args, **kwargs)

    return trio.run(main)


def called(target: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
    """What comes of calling `target`, to be awaited.

    Raises:
        TypeError: it is nothing that can be called, or nothing to await comes back.
    """
    awaited = target(*args, **kwargs) if callable(target) else None
    if not inspect.isawaitable(awaited):
        raise TypeError(f"run() takes a step, a flow or an async function, as in run(f, x); {target!r} is none")
    return awaited
