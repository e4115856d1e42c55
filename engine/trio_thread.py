"""`TrioThread`: a trio run in a thread of its own, called from asyncio, and its way back.

A call is a task on either side that belongs to the one who waits on the other: cancelling the one cancels the other and
waits for it, exceptions pass as they are, and context variables go along and come back changed.

A thread rather than trio's guest mode: each wait of a guest is handed to a thread and back, and work on either loop holds
up the other's deadlines (docs/services.md has the figures).
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Generic, TypeVar, cast

import outcome
import trio

from stratum.contracts.errors import RunError, StratumError
from stratum.engine.place import current_place

T = TypeVar("T")
Value = TypeVar("Value")
Outcome = outcome.Value[T] | outcome.Error

_host: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar("stratum_host", default=None)
"""The loop that waits for what runs here."""
_OURS = (_host, current_place)


class TrioThread(Generic[Value]):
    """Holds one async context manager of trio open, for calls from one asyncio loop. Open one with `open_trio_thread`."""

    def __init__(self, held: Callable[[], AbstractAsyncContextManager[Value]], *, name: str) -> None:
        self._held = held
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._owner = asyncio.current_task()
        self._ready: asyncio.Future[Value] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._failure: BaseException | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._stop = trio.Event()
        self._reason: BaseException | None = None
        self._leaving = False
        self._interrupted = False

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await `function()` in the trio run, as the calling task would.

        Raises:
            RunError: the thread has ended, or was started from another event loop; or this is trio, whose tasks cannot wait for asyncio.
        """
        if trio.lowlevel.in_trio_task():
            raise RunError(
                run=self._name,
                problem="its runtime is for asyncio tasks, and this is trio",
                fix="in a flow, await the step itself, as in `await step(...)`; in a program of trio, use stratum.open_runtime()",
            )
        if asyncio.get_running_loop() is not self._loop:
            raise RunError(
                run=self._name,
                problem="its runtime was opened in another event loop",
                fix="open one in each of them; they may share a journal",
            )
        if self._ended.done() or self._token is None:
            raise self._failure or self._closed()
        call = _Call(self._loop, function, contextvars.copy_context())
        try:
            self._token.run_sync_soon(self._begin, call)
        except trio.RunFinishedError:
            raise self._failure or self._closed() from None
        return await call.result(self._token)

    def _begin(self, call: _Call[Any]) -> None:
        if self._nursery is None:
            call.deliver(outcome.Error(self._closed()))
            return
        call.context.run(_host.set, self._loop)
        call.context.run(_start, self._nursery, call)

    def _closed(self) -> RunError:
        return RunError(run=self._name, problem="its runtime was closed", fix="close it after the tasks that use it")

    def start(self) -> None:
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=self._name, daemon=True)
        self._thread.start()

    async def opened(self) -> Value:
        """What is held; raises what opening it raised."""
        first: set[asyncio.Future[Any]] = {self._ready, self._ended}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            raise self._failure or self._closed()
        return self._ready.result()

    async def close(self, reason: BaseException | None) -> None:
        """Let go of what is held, as if the block around it had ended by `reason`; wait, however often cancelled.

        Raises what leaving it raised.
        """
        self._leaving = True  # before the token is looked at: whoever sets that looks at this next
        if self._token is not None and not self._ended.done():
            try:
                self._token.run_sync_soon(self._end_by, reason)
            except trio.RunFinishedError:
                pass  # it is on its way to say so
        cancelled = await _until_done(self._ended)
        self._thread.join()  # it has nothing left to do
        if self._interrupted and self._owner is not None:
            if not isinstance(reason, asyncio.CancelledError):
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)  # the block ended before ours arrived: it must not hit what comes after
            self._owner.uncancel()
        # What nurseries around make of a group that the block raised says less than the group.
        own = self._failure is reason or (
            isinstance(reason, ExceptionGroup) and not isinstance(self._failure, StratumError)
        )
        if self._failure is not None and not own:
            raise self._failure
        if cancelled and reason is None:
            raise asyncio.CancelledError

    def _end_by(self, reason: BaseException | None) -> None:
        self._reason = reason if reason is None or isinstance(reason, Exception) else Stopped()
        self._stop.set()

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the thread
            self._failure = error
        self._loop.call_soon_threadsafe(self._finish)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        if self._leaving:
            return  # the block was left before anybody could be told here: nothing is opened
        # Outside of what is held: closing that stops the calls that use it, and here they are waited for.
        async with trio.open_nursery() as self._nursery:
            try:
                async with self._held() as value:
                    self._loop.call_soon_threadsafe(_settle, self._ready, value)
                    await self._stop.wait()
                    if self._reason is not None:
                        raise self._reason
            except Exception as error:  # noqa: BLE001 - kept as it is: the nursery would wrap it
                self._failure = error
            except Stopped:
                pass
            finally:
                self._nursery = None  # what is asked for from now on finds it closed

    def _finish(self) -> None:
        _settle(self._ended, None)
        if not self._leaving and self._owner is not None and self._ready.done():
            # The session ended by itself, say by its budget: so does the block that opened it.
            self._interrupted = True
            self._owner.cancel()


class Stopped(KeyboardInterrupt):
    """The asyncio task around was cancelled: recorded as a stop, not as a failure."""


@asynccontextmanager
async def open_trio_thread(
    held: Callable[[], AbstractAsyncContextManager[Value]], *, name: str
) -> AsyncGenerator[tuple[TrioThread[Value], Value]]:
    """Enter `held()` in a trio run of its own thread, for as long as the block lasts."""
    thread = TrioThread(held, name=name)
    thread.start()
    try:
        yield thread, await thread.opened()
    except BaseException as error:
        await thread.close(error)
        raise
    await thread.close(None)


class _Call(Generic[T]):
    """One call from asyncio into trio."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, function: Callable[[], Awaitable[T]], context: contextvars.Context
    ) -> None:
        self.function = function
        self.context = context
        self._loop = loop
        self._scope = trio.CancelScope()
        self._answer: asyncio.Future[Outcome[T]] = loop.create_future()
        self._after: contextvars.Context | None = None

    async def perform(self) -> None:
        """In trio."""
        answer: Outcome[T] = outcome.Error(asyncio.CancelledError())
        try:
            # Through the scope, which takes its own cancellation out of a group with other errors.
            with self._scope:
                answer = outcome.Value(await self.function())
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again in the task that waits for it
            answer = outcome.Error(error)
        finally:
            self._after = contextvars.copy_context()
            self.deliver(answer)

    def deliver(self, answer: Outcome[T]) -> None:
        self._loop.call_soon_threadsafe(_settle, self._answer, answer)

    async def result(self, token: trio.lowlevel.TrioToken) -> T:
        """In asyncio."""
        before = contextvars.copy_context()
        try:
            answer = await asyncio.shield(self._answer)
        except asyncio.CancelledError:
            try:
                token.run_sync_soon(self._cancel)
            except trio.RunFinishedError:
                pass  # the answer is on its way
            await _until_done(self._answer)
            answer = self._answer.result()
            if isinstance(answer, outcome.Error) and not isinstance(answer.error, asyncio.CancelledError):
                raise answer.error
            raise
        finally:
            _bring_back(self._after, before)
        return answer.unwrap()

    def _cancel(self) -> None:
        self._scope.cancel(reason="the asyncio task that waits for it was cancelled")


def _start(nursery: trio.Nursery, call: _Call[Any]) -> None:
    nursery.start_soon(call.perform)


async def in_asyncio(function: Callable[..., Awaitable[T]], /, *args: Any) -> T:
    """Await `function(*args)` in the asyncio loop that this flow was called from: for clients that only asyncio knows.

    Cancelling the flow, or exhausting its budget, cancels it there, and waits.

    Raises:
        RunError: called in no flow of a `stratum.aio` runtime.
    """
    loop = _host.get()
    if loop is None or not trio.lowlevel.in_trio_task():
        raise RunError(
            run="in_asyncio", problem="no asyncio loop waits for this", fix="call it in a flow run by stratum.aio"
        )
    before = contextvars.copy_context()
    after: contextvars.Context | None = None
    waiting, token = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()
    raise_cancel: Callable[[], Any] | None = None
    task: asyncio.Task[T] | None = None

    async def performed() -> T:
        nonlocal after
        try:
            return await function(*args)
        finally:
            after = contextvars.copy_context()

    def begin() -> None:
        nonlocal task
        task = loop.create_task(performed(), context=before.copy())
        task.add_done_callback(done)
        if raise_cancel is not None:
            task.cancel()

    def done(task: asyncio.Task[T]) -> None:
        answer = outcome.capture(task.result)
        stopped = isinstance(answer, outcome.Error) and isinstance(answer.error, asyncio.CancelledError)
        if raise_cancel is not None and stopped:
            answer = outcome.capture(raise_cancel)
        token.run_sync_soon(trio.lowlevel.reschedule, waiting, answer)

    def abort(raise_: Callable[[], Any]) -> trio.lowlevel.Abort:
        nonlocal raise_cancel
        raise_cancel = raise_
        loop.call_soon_threadsafe(lambda: task and task.cancel())
        return trio.lowlevel.Abort.FAILED

    await trio.lowlevel.checkpoint_if_cancelled()
    loop.call_soon_threadsafe(begin)
    try:
        return cast("T", await trio.lowlevel.wait_task_rescheduled(abort))
    finally:
        _bring_back(after, before)


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


async def _until_done(future: asyncio.Future[Any]) -> bool:
    """Wait, and let cancellations wait too; whether there was one, for the caller to raise once the other side has stopped."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


def _bring_back(after: contextvars.Context | None, before: contextvars.Context) -> None:
    """Set here what was set there, as if it had been awaited in this task."""
    for variable, value in () if after is None else after.items():
        if variable not in _OURS and (variable not in before or before[variable] is not value):
            variable.set(value)
