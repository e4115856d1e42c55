"""`@compute`: an ordinary function as a step, with the type and the record of an LLM call."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

import msgspec
import trio

from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.signature import Signature
from stratum.contracts.trace import CallKind
from stratum.engine.place import Place, current_place
from stratum.engine.step import Step
from stratum.engine.step_record import StepRecord
from stratum.engine.worker_thread import WorkerThread

P = ParamSpec("P")
R = TypeVar("R")


class Compute(Step[P, R], Generic[P, R]):
    """A function as a step: recorded, resumable, stopped at the deadline."""

    kind: CallKind = "compute"

    def __init__(self, function: Callable[P, Any], *, inline: bool, process: bool) -> None:
        super().__init__(function, Signature.of(function, called_by_name=True))
        if process and "<locals>" in function.__qualname__ and not inspect.iscoroutinefunction(function):
            raise ContractDefinitionError(
                owner=self.signature.name,
                problem="a worker process finds no function that is defined within another",
                fix="define it at module level",
            )
        self.call_here = _caller(function, inline=inline, process=process)
        """Calls the function itself, on this machine; a thread that it leaves running is told of."""
        self.inline = inline
        self.process = process
        self.is_async = inspect.iscoroutinefunction(function)

    async def carry_out(self, arguments: dict[str, Any], record: StepRecord, *, retry: bool = True) -> Any:
        """Call the function, where it is to run: beside what called it, or on the runtime's cluster.

        `retry`: where a worker is lost, another one goes on.

        Raises:
            WorkerLost: and that is the caller's to decide.
        """
        place = current_place.get()
        assert place is not None, "a step is carried out at its place"
        workplace = place.away or (record.run.runtime.cluster if self.process else None)
        if workplace is not None:
            return await workplace.carry_out(self, arguments, place, retry=retry)

        def leaked() -> None:
            record.leaked(f"the worker thread of {record.id} was abandoned at its deadline and may still be running")

        return await self.call_here(arguments, leaked)

    async def perform(self, arguments: dict[str, Any], place: Place) -> R:
        record = StepRecord(self, arguments, place)
        if record.recorded is not None:
            return self.signature.returns.recall(record.recorded)
        token = current_place.set(msgspec.structs.replace(place, step=record.id))
        try:
            result = await place.run.runtime.timed("compute", self._checked(arguments, record))
        except BaseException as error:
            record.failed(error)
            raise
        finally:
            current_place.reset(token)
        record.completed(result)
        return result

    async def _checked(self, arguments: dict[str, Any], record: StepRecord) -> R:
        result: R = self.signature.checked(await self.carry_out(arguments, record))
        return result


Caller = Callable[[dict[str, Any], Callable[[], object]], Coroutine[Any, Any, Any]]


def _caller(function: Callable[..., Any], *, inline: bool, process: bool) -> Caller:
    """How calls of `function` are carried out."""

    @trio.lowlevel.disable_ki_protection
    async def awaited(arguments: dict[str, Any], on_leak: Callable[[], object]) -> Any:
        return await function(**arguments)

    @trio.lowlevel.disable_ki_protection
    async def on_the_loop(arguments: dict[str, Any], on_leak: Callable[[], object]) -> Any:
        return function(**arguments)

    async def in_a_thread(arguments: dict[str, Any], on_leak: Callable[[], object]) -> Any:
        return await WorkerThread(partial(function, **arguments), purpose="compute").result(on_leak)

    async def in_a_process(arguments: dict[str, Any], on_leak: Callable[[], object]) -> Any:
        # Comes with the HTTP client; workers are reused between calls.
        from anyio import BrokenWorkerProcess, to_process

        try:
            return await to_process.run_sync(
                _call_by_name, function.__module__, function.__qualname__, arguments, cancellable=True
            )
        except BrokenWorkerProcess as error:
            raise BrokenWorkerProcess(
                f"the worker process of {function.__qualname__} ended while it was at work: it was killed, perhaps for the "
                "memory it took, or ended itself; give it less at a time, or leave process=True out"
            ) from error

    if inspect.iscoroutinefunction(function):
        return awaited
    if process:
        return in_a_process
    return on_the_loop if inline else in_a_thread


def _call_by_name(module: str, qualname: str, arguments: dict[str, Any]) -> Any:
    """In a worker process: find the step where the parent has it, and call what it wraps."""
    step: Any = importlib.import_module(module)
    for name in qualname.split("."):
        step = getattr(step, name)
    return step.function(**arguments)


class ComputeDecorator(Protocol):
    """`@compute(...)` before it meets its function."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def compute(function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def compute(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def compute(*, inline: bool = False, process: bool = False) -> ComputeDecorator: ...
def compute(function: Callable[..., Any] | None = None, /, *, inline: bool = False, process: bool = False) -> Any:
    """Make a function a step: `await f(x)`, recorded, resumable, of the same type as an `@infer` one.

    An `async def` is awaited. A plain `def` runs in a worker thread, so that it can neither stall siblings nor outlive
    its deadline (the thread is then abandoned, and reported); `inline=True` keeps a tiny one on the loop, where in plans it
    and an `async def` that is said to be tiny are recorded many at a time, without their inputs; `process=True` runs a
    CPU-bound one in a worker process, which is killed at the deadline. Where the runtime has a cluster, `process=True`
    means one of its workers, for an `async def` too.
    """

    if function is not None and not callable(function):
        raise ContractDefinitionError(
            owner="compute", problem=f"{function!r} is not a function", fix="write @compute, or @compute(inline=True)"
        )

    def decorate(function: Callable[P, Any]) -> Step[P, Any]:
        if inline and process:
            raise ContractDefinitionError(
                owner=function.__qualname__, problem="inline and process exclude each other", fix="pass one of them"
            )
        return Compute(function, inline=inline, process=process)

    return decorate if function is None else decorate(function)
