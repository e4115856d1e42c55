"""`Step`: what `@infer`, `@compute` and `@flow` turn a function into. All three have this one type."""

from __future__ import annotations

import functools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Literal, ParamSpec, TypeVar

import trio

from stratum.contracts.errors import NoRuntime
from stratum.contracts.signature import Signature
from stratum.engine.place import Place, current_place

P = ParamSpec("P")
R = TypeVar("R")


class Step(ABC, Generic[P, R]):
    """A function whose calls are typed, bounded and recorded: `await f(x)`, or `f.sync(x)` in a script.

    `@infer` and `@compute` give the same type, so one can be swapped for the other without a change at the call site.
    """

    kind: Literal["infer", "compute", "flow"]

    def __init__(self, function: Callable[..., Any], signature: Signature[R]) -> None:
        self.function = function
        self.signature = signature
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the step; arguments are checked here, before anything is awaited or spent.

        Raises:
            TypeError: the arguments do not fit the signature.
            ContractViolation: an argument does not meet its type.
        """
        return self._start(self.signature.bind(args, kwargs))

    def sync(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the step from a script, in a runtime of its own.

        Raises:
            RuntimeError: called inside a running event loop, or in a thread of a step; await the step instead.
        """
        arguments = self.signature.bind(args, kwargs)
        refuse_inside_loop(f"{self.signature.name}.sync()")
        return trio.run(self._start, arguments, strict_exception_groups=True)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.signature.qualname}>"

    @abstractmethod
    async def perform(self, arguments: dict[str, Any], place: Place) -> R:
        """Run one call that stands at `place`; `arguments` are bound and checked."""

    async def _start(self, arguments: dict[str, Any]) -> R:
        place = current_place.get()
        if place is not None:
            return await self.perform(arguments, place)
        refuse_outside_trio(self.signature.name)
        # Imported here because a runtime holds everything else; only the outermost call opens one.
        from stratum.engine.runtime import open_runtime

        async with open_runtime() as runtime:
            return await self.perform(arguments, runtime.place)


def refuse_inside_loop(what: str) -> None:
    """Raise where blocking would stop an event loop."""
    if trio.lowlevel.in_trio_run() or _in_asyncio():
        raise RuntimeError(f"{what} would block the running event loop; await the step instead")
    # A worker thread inherits where it was called from; what it spends in a loop of its own would escape that budget.
    if current_place.get() is not None:
        raise RuntimeError(f"{what} in a thread of a running step; make that step an async def and await this one")


def refuse_outside_trio(function: str) -> None:
    """Raise `NoRuntime` under asyncio, whose tasks trio's primitives cannot run in."""
    if not trio.lowlevel.in_trio_run():
        raise NoRuntime(function=function)


def _in_asyncio() -> bool:
    asyncio = sys.modules.get("asyncio")  # not imported: then no loop can be running
    if asyncio is None:
        return False
    return asyncio._get_running_loop() is not None
