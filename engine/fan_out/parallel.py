"""`parallel` and `race`: calls at once, under the budget around them; those not needed any more are stopped."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar, overload

from stratum.contracts.ended import Failure, Success
from stratum.contracts.errors import ParallelValidationFailed
from stratum.engine.discarded import discard
from stratum.engine.event_loop import refuse_outside_trio
from stratum.engine.fan_out.fan_out import PARALLEL, RACE, Decision, FanOut, decide
from stratum.engine.place import current_place
from stratum.engine.workplace import Decided, owner

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")

Call = Coroutine[Any, Any, T]
Held = bool | Awaitable[bool]
"""What `validate` says of the results."""


@overload
async def parallel(
    call: Call[T1],
    /,
    *,
    require: Literal["all"] = "all",
    validate: Callable[[tuple[T1]], Held] | None = None,
) -> tuple[T1]: ...
@overload
async def parallel(
    call1: Call[T1],
    call2: Call[T2],
    /,
    *,
    require: Literal["all"] = "all",
    validate: Callable[[tuple[T1, T2]], Held] | None = None,
) -> tuple[T1, T2]: ...
@overload
async def parallel(
    call1: Call[T1],
    call2: Call[T2],
    call3: Call[T3],
    /,
    *,
    require: Literal["all"] = "all",
    validate: Callable[[tuple[T1, T2, T3]], Held] | None = None,
) -> tuple[T1, T2, T3]: ...
@overload
async def parallel(
    call1: Call[T1],
    call2: Call[T2],
    call3: Call[T3],
    call4: Call[T4],
    /,
    *,
    require: Literal["all"] = "all",
    validate: Callable[[tuple[T1, T2, T3, T4]], Held] | None = None,
) -> tuple[T1, T2, T3, T4]: ...
@overload
async def parallel(
    call1: Call[T1],
    call2: Call[T2],
    call3: Call[T3],
    call4: Call[T4],
    call5: Call[T5],
    /,
    *,
    require: Literal["all"] = "all",
    validate: Callable[[tuple[T1, T2, T3, T4, T5]], Held] | None = None,
) -> tuple[T1, T2, T3, T4, T5]: ...
@overload
async def parallel(
    call1: Call[T1],
    call2: Call[T2],
    call3: Call[T3],
    call4: Call[T4],
    call5: Call[T5],
    call6: Call[T6],
    /,
    *,
    require: Literal["all"] = "all",
    validate: Callable[[tuple[T1, T2, T3, T4, T5, T6]], Held] | None = None,
) -> tuple[T1, T2, T3, T4, T5, T6]: ...
@overload
async def parallel(
    *calls: Call[T],
    require: Literal["all"] = "all",
    validate: Callable[[tuple[T, ...]], Held] | None = None,
) -> tuple[T, ...]: ...
@overload
async def parallel(*calls: Call[T], require: Literal["any"], validate: Callable[[T], Held] | None = None) -> T: ...
@overload
async def parallel(
    *calls: Call[T],
    require: Literal[0],
    validate: Callable[[list[Success[T] | Failure]], Held] | None = None,
) -> list[Success[T] | Failure]: ...
@overload
async def parallel(*calls: Call[T], require: int, validate: Callable[[list[T]], Held] | None = None) -> list[T]: ...
async def parallel(
    *calls: Call[Any],
    require: Literal["all", "any"] | int = "all",
    validate: Callable[[Any], Held] | None = None,
) -> Any:
    """Make `calls` at once: `await parallel(classify(a), summarise(b))`. Those not needed any more are stopped.

    `require="all"` gives a tuple in the order of the calls; the first failure stops the others and is raised.
    `"any"` gives the first value, `N` a list of the first N values in the order of the calls; when too many have failed
    for that, the last failure is raised. `0` waits for all and gives a `Success` or `Failure` for each. `validate` says
    whether what came of it will do, once it is there.

    A call begins when those before it have been admitted by the budget. What a stopped call may have cost is booked.

    Raises:
        ParallelValidationFailed: `validate` gave False.
        ValueError: more calls are required than there are; none, where one has to succeed; one of them twice.
        TypeError: something else than a call, as `classify("...")` is one.
    """
    need = _needed(calls, require)
    fan_out = await _at_place(PARALLEL, calls, need=need)
    found = _found(fan_out, count=len(calls), require=require)
    if validate is not None:
        held = validate(found)
        if not (await held if inspect.isawaitable(held) else held):
            raise ParallelValidationFailed(results=found)
    return found


async def race(*calls: Call[T]) -> T:
    """The value of the call that first has one; the others are stopped. When all fail, the last failure is raised.

    Raises:
        ValueError: no calls, or one of them twice.
    """
    _refuse_misuse(calls, need=1, name="race")
    fan_out = await _at_place(RACE, calls, need=1)
    value: T = _found(fan_out, count=len(calls), require="any")
    return value


async def _at_place(what: Decision, calls: Sequence[Call[T]], *, need: int | None) -> FanOut[T] | Decided:
    try:
        elsewhere = owner.get()
        if elsewhere is not None:
            return await elsewhere.fan_out(what, calls, need=need)
        place = current_place.get()
        if place is not None:
            return await decide(what, calls, place, need=need)
        refuse_outside_trio(f"{what.signature.name}()")
        # As a step's outermost call does it: all branches share one runtime.
        from stratum.engine.runtime import open_runtime

        async with open_runtime() as runtime:
            return await decide(what, calls, runtime.place, need=need)
    finally:
        discard(calls)


def _found(fan_out: FanOut[Any] | Decided, *, count: int, require: Literal["all", "any"] | int) -> Any:
    ended = [fan_out.ended[number] for number in range(count) if number in fan_out.ended]
    if require == 0:
        return ended
    won = [fan_out.ended[number] for number in sorted(fan_out.won)]
    values = [success.value for success in won if isinstance(success, Success)]
    if require == "any":
        return values[0]
    return tuple(values) if require == "all" else values


def _needed(calls: Sequence[Call[Any]], require: Literal["all", "any"] | int) -> int | None:
    if require == "all":
        need = len(calls)
    elif require == "any":
        need = 1
    elif type(require) is int and require >= 0:
        need = require
    else:
        discard(calls)
        raise ValueError(f'require={require!r}: pass "all", "any", or how many have to succeed, 0 to wait for all')
    _refuse_misuse(calls, need=need, name="parallel")
    return None if require == 0 else need


def _refuse_misuse(calls: Sequence[object], *, need: int, name: str) -> None:
    """Coroutines that will not be awaited are closed: Python warns of others."""
    try:
        for call in calls:
            if not inspect.iscoroutine(call):
                raise TypeError(f"{name}() takes calls, as in {name}(f(x), g(y)); {call!r} is not one")
        if len({id(call) for call in calls}) < len(calls):
            raise ValueError(f"{name}() was given a call twice; a call can be awaited once: make it again, f(x)")
        if need > len(calls):
            raise ValueError(f"{name}() requires {need} of {len(calls)} calls; pass more calls, or require fewer")
    except (TypeError, ValueError):
        discard([call for call in calls if inspect.iscoroutine(call)])
        raise
