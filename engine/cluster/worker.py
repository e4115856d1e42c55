"""`Worker`: runs functions for an owner in another process, and has the owner make the calls that they make.

Above: whatever carries the messages. Each function is a trio task; being cancelled, it is waited for on both sides, and so
are its calls. Nothing is booked or recorded here.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import msgspec
import outcome
import trio

from stratum.contracts.ended import Failure, Success
from stratum.engine.cluster.crossing import name_of, pack, pack_error, step_named, unpack, unpack_error
from stratum.engine.cluster.messages import (
    Answered,
    Call,
    FanOut,
    Outcome,
    Over,
    Perform,
    RunBranch,
    Stop,
    ThreadLeft,
    ToOwner,
    ToWorker,
    Withdraw,
    encode,
    to_worker,
)
from stratum.engine.compute import Compute
from stratum.engine.fan_out.fan_out import Decision
from stratum.engine.step import Step, tracing
from stratum.engine.stopped import was_stopped
from stratum.engine.worker_thread import WorkerThread
from stratum.engine.workplace import Decided, owner

_errand: ContextVar[int] = ContextVar("stratum_errand")
"""The one that the current task belongs to."""


@dataclass(kw_only=True)
class _Branches:
    """Of a fan-out that an errand asked for."""

    calls: Sequence[Coroutine[Any, Any, Any]]
    ended: dict[int, Success[Any] | Failure] = field(default_factory=dict[int, Success[Any] | Failure])


class Worker:
    """One owner's; `post` sends a message to it and does not wait."""

    def __init__(self, post: Callable[[bytes], None], *, name: str) -> None:
        self._send = post
        self._name = name
        self._numbers = count(1)
        self._scopes: dict[int, trio.CancelScope] = {}
        self._calls: dict[int, trio.lowlevel.Task] = {}
        """Who waits for the answer."""
        self._fan_outs: dict[int, _Branches] = {}

    async def serve(self, messages: trio.MemoryReceiveChannel[bytes]) -> None:
        """Do what the owner says, until it says nothing more."""
        async with trio.open_nursery() as nursery:
            try:
                async for encoded in messages:
                    self._take(to_worker(encoded), nursery)
            finally:
                nursery.cancel_scope.cancel(reason="the owner is gone")
                for call in list(self._calls):  # nobody will answer them
                    self._take(Answered(call=call, stopped=True), nursery)

    def call(self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Coroutine[Any, Any, Any]:
        return self._called(step, step.signature.bind(args, kwargs))

    async def fan_out(self, what: Decision, calls: Sequence[Coroutine[Any, Any, Any]], *, need: int | None) -> Decided:
        call = next(self._numbers)
        branches = self._fan_outs[call] = _Branches(calls=calls)
        asked = FanOut(errand=_errand.get(), call=call, what=what.signature.name, branches=len(calls), need=need)
        try:
            came = msgspec.msgpack.decode(await self._answer(asked), type=Outcome)
        finally:
            del self._fan_outs[call]
        return Decided(ended={number: branches.ended[number] for number in came.ended}, won=came.won)

    def _take(self, message: ToWorker, nursery: trio.Nursery) -> None:
        match message:
            case Perform():
                self._begin(message.errand, partial(self._perform, message), nursery)
            case RunBranch():
                self._begin(message.errand, partial(self._branch, message), nursery)
            case Stop():
                if message.errand in self._scopes:  # else it is over, and has said so
                    self._scopes[message.errand].cancel(reason=message.reason)
            case Answered():
                trio.lowlevel.reschedule(self._calls.pop(message.call), outcome.Value(message))

    def _begin(self, errand: int, work: Callable[[], Awaitable[bytes]], nursery: trio.Nursery) -> None:
        # Before its task runs: it may be stopped at once.
        self._scopes[errand] = trio.CancelScope()
        nursery.start_soon(self._run, errand, work)

    async def _run(self, errand: int, work: Callable[[], Awaitable[bytes]]) -> None:
        owner.set(self)
        tracing.set(self)
        _errand.set(errand)
        over = Over(errand=errand, stopped=True)
        try:
            with self._scopes[errand]:
                over = Over(errand=errand, value=await work())
        except BaseException as error:
            if was_stopped(error) and trio.current_effective_deadline() == -math.inf:
                raise  # the worker is ending
            # Whatever else it is, it is the caller's: SystemExit ends no worker.
            over = Over(errand=errand, error=pack_error(error, at=self._name))
        finally:
            del self._scopes[errand]
        self._post(over)

    async def _perform(self, asked: Perform) -> bytes:
        step = step_named(asked.step)
        arguments = step.signature.decode(asked.inputs)
        return pack(step, step.signature.checked(await self._call_function(step, arguments, asked)))

    async def _call_function(self, step: Step[Any, Any], arguments: dict[str, Any], asked: Perform) -> Any:
        def leaked() -> None:
            self._post(ThreadLeft(errand=asked.errand))

        if asked.alone:
            return await WorkerThread(partial(step.function, **arguments), purpose="compute").result(leaked)
        if isinstance(step, Compute):
            return await step.call_here(arguments, leaked)
        return await step.function(**arguments)

    async def _branch(self, asked: RunBranch) -> bytes:
        branches = self._fan_outs[asked.call]
        try:
            branches.ended[asked.number] = Success(await branches.calls[asked.number])
        except Exception as error:
            branches.ended[asked.number] = Failure(error)
            raise
        return b""

    async def _called(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Any:
        asked = Call(
            errand=_errand.get(),
            call=next(self._numbers),
            step=name_of(step),
            inputs=step.signature.encode(arguments),
            around=step.kind in ("flow", "compute"),
        )
        return unpack(step, await self._answer(asked))

    async def _answer(self, asked: Call | FanOut) -> bytes:
        """What the owner says came of a call; cancelled, this is waited for too, for the owner has it to book."""
        give_up: trio.lowlevel.RaiseCancelT | None = None

        def withdraw(raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            nonlocal give_up
            give_up = raise_cancel
            self._post(Withdraw(call=asked.call, reason="cancelled on its worker"))
            return trio.lowlevel.Abort.FAILED

        self._calls[asked.call] = trio.lowlevel.current_task()
        self._post(asked)
        answer: Answered = await trio.lowlevel.wait_task_rescheduled(withdraw)
        if answer.stopped:
            if give_up is not None:
                give_up()
            await trio.sleep_forever()  # the errand, or one around it, is about to be stopped
        if answer.error:
            raise unpack_error(answer.error)
        return answer.value

    def _post(self, message: ToOwner) -> None:
        self._send(encode(message))
