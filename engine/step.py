"""`Step`: what `@infer`, `@compute` and `@flow` turn a function into. All three have this one type."""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar

import trio

from stratum.contracts.errors import NoRuntime
from stratum.contracts.signature import Signature
from stratum.contracts.trace import CallKind
from stratum.engine.event_loop import refuse_inside_loop, refuse_outside_trio
from stratum.engine.place import Place, current_place
from stratum.engine.workplace import refuse_on_worker

if TYPE_CHECKING:
    from stratum.engine.pricing.quote import Quote
    from stratum.engine.runtime import Runtime
    from stratum.engine.stream import Stream, Watch


class CallTracer(Protocol):
    """Takes note of calls instead of making them: see `Flow.plan`."""

    def call(
        self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]: ...


tracing: ContextVar[CallTracer | None] = ContextVar("stratum_tracing", default=None)

P = ParamSpec("P")
R = TypeVar("R")


class Step(ABC, Generic[P, R]):
    """A function whose calls are typed, bounded and recorded: `await f(x)`, or `f.sync(x)` in a script.

    `@infer` and `@compute` give the same type, so one can be swapped for the other without a change at the call site.
    """

    kind: CallKind

    def __init__(self, function: Callable[..., Any], signature: Signature[R]) -> None:
        self.function = function
        self.signature = signature
        functools.update_wrapper(self, function)

    # object, not Any: with an Any in their types mypy does not choose between the overloads of `parallel`.
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, object, R]:
        """Call the step; arguments are checked here, before anything is awaited or spent.

        Raises:
            TypeError: the arguments do not fit the signature.
            ContractViolation: an argument does not meet its type.
        """
        tracer = tracing.get()
        if tracer is not None:
            return tracer.call(self, args, kwargs)
        call = self._start(self.signature.bind(args, kwargs))
        # Python's warning of a call that nobody awaited says it.
        call.__qualname__ = self.signature.name  # type: ignore[attr-defined]  # every coroutine has one
        return call

    def sync(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the step from a script, in a runtime of its own.

        Raises:
            RuntimeError: called inside a running event loop, or in a thread of a step; await the step instead.
        """
        arguments = self.signature.bind(args, kwargs)
        refuse_inside_loop(f"{self.signature.name}.sync()")
        return trio.run(self._start, arguments, strict_exception_groups=True)

    def stream(self, *args: P.args, **kwargs: P.kwargs) -> Stream[R]:
        """Call the step and look at its answer while it is being written; the last of the stream has the result.

        What is no single call of a model (a `@compute`, a quorum) gives the last alone. Arguments are checked here.

        Raises:
            NoRuntime: there is no runtime around, in which the call could run.
        """
        from stratum.engine.stream import Stream

        refuse_on_worker(f"{self.signature.name}.stream()", fix="await the step: its answer comes as a whole")
        arguments = self.signature.bind(args, kwargs)
        place = current_place.get()
        if place is None:
            raise NoRuntime(
                function=f"{self.signature.name}.stream()", fix="call it inside `async with open_runtime()`"
            )
        return Stream(place, self.signature, lambda watch: self.perform_watched(arguments, place, watch))

    async def perform_watched(self, arguments: dict[str, Any], place: Place, watch: Watch) -> R:
        """As `perform`; a call of a model tells `watch` what has been written."""
        return await self.perform(arguments, place)

    def quote(self, arguments: dict[str, Any], runtime: Runtime) -> Quote | None:
        """What a call would reserve before anything is sent; `None` for what asks no model by itself."""
        return None

    def __reduce__(self) -> str:
        return self.signature.qualname.partition(":")[2]  # as functions do: by name, in its module

    def __repr__(self) -> str:
        return f"<{self.kind} {self.signature.qualname}>"

    @abstractmethod
    async def perform(self, arguments: dict[str, Any], place: Place) -> R:
        """Run one call that stands at `place`; `arguments` are bound and checked."""

    # Ctrl-C comes at any instruction, between two halves of a booking too: here it waits for a checkpoint. What users wrote is
    # called from functions that lift this again.
    @trio.lowlevel.enable_ki_protection
    async def _start(self, arguments: dict[str, Any]) -> R:
        place = current_place.get()
        if place is not None:
            if not place.run.resumed:  # whose calls may have results, which count though it is cancelled
                if place.envelope.cause is not None and trio.current_effective_deadline() == -math.inf:
                    await trio.sleep_forever()  # raises the same, in a third of the time: thousands may begin too late
                await trio.lowlevel.checkpoint_if_cancelled()
            return await self.perform(arguments, place)
        refuse_outside_trio(self.signature.name)
        # Imported here because a runtime holds everything else; only the outermost call opens one.
        from stratum.engine.runtime import open_runtime

        async with open_runtime() as runtime:
            return await self.perform(arguments, runtime.place)
