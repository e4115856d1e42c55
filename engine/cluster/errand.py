"""`Errand`: one function at work on a worker, and the calls that it makes, which are made here."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any, Final

import msgspec
import trio

from stratum.contracts.cluster_errors import WorkerLost
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
    Withdraw,
)
from stratum.engine.cluster.station import Station
from stratum.engine.discarded import discard
from stratum.engine.fan_out.fan_out import PARALLEL, RACE, decide
from stratum.engine.place import Place, current_place
from stratum.engine.step import Step

_DECISIONS: Final = {what.signature.name: what for what in (PARALLEL, RACE)}

Asked = Callable[[int], Perform | RunBranch]
"""What a worker is asked to do, given the errand's number."""


def perform(step: Step[Any, Any], arguments: dict[str, Any], *, alone: bool) -> Asked:
    """Call the step's function."""
    name, inputs = name_of(step), step.signature.encode(arguments)
    return lambda errand: Perform(errand=errand, step=name, inputs=inputs, alone=alone)


class SameWorker:
    """Where a function runs, for those that it calls in turn."""

    def __init__(self, station: Station, *, grace_s: float) -> None:
        self._station = station
        self._grace_s = grace_s

    async def carry_out(self, step: Step[Any, Any], arguments: dict[str, Any], place: Place, *, retry: bool) -> Any:
        """`retry` does not matter: whoever sent the outermost of the worker's errands starts that over."""
        errand = Errand(self._station, place, grace_s=self._grace_s)
        return unpack(step, await errand.result(perform(step, arguments, alone=False)))


class Errand:
    """One; `place` is where its calls stand. Without any grace it is stopped by killing its worker."""

    def __init__(self, station: Station, place: Place, *, grace_s: float) -> None:
        self._station = station
        self._place = place
        self._grace_s = grace_s
        self._context = contextvars.copy_context()
        self._calls: dict[int, trio.CancelScope] = {}
        self._over: Over | None = None
        self._ended = trio.Event()

    @trio.lowlevel.enable_ki_protection
    async def result(self, asked: Asked) -> bytes:
        """Have it done; what came of it.

        Raises:
            WorkerLost: the process is gone. And whatever the function raises.
        """
        if self._station.lost:
            raise self._lost()
        number = self._station.add(self)
        try:
            async with trio.open_nursery() as self._nursery:
                self._station.post(asked(number))
                try:
                    await self._ended.wait()
                except trio.Cancelled as cancelled:
                    await self._stop(number, cancelled.reason or cancelled.source)
                    raise
                if self._over is None:
                    await self._station.quiet()
        finally:
            self._station.remove(number)
        if self._over is None:
            raise self._lost()
        if self._over.error:
            raise unpack_error(self._over.error)
        return self._over.value

    def told(self, message: ToOwner) -> None:
        """The worker says something of it."""
        match message:
            case Call() | FanOut():
                # Before its task runs: it may be withdrawn at once.
                self._calls[message.call] = trio.CancelScope()
                self._station.begin_call(message.call, self, paid=_may_cost(message))
                self._context.run(self._nursery.start_soon, self._make, message)
            case Withdraw():
                self._calls[message.call].cancel(reason=message.reason)
            case ThreadLeft():
                run, step = self._place.run, self._place.step
                run.leaked(step, f"the thread of {step} on {self._station.name} was abandoned and may still be running")
            case Over():
                self._over = message
                self._ended.set()

    def lose(self) -> None:
        """The worker is gone."""
        self._ended.set()

    async def _stop(self, number: int, reason: str) -> None:
        """See to it that it has ended, and what it called."""
        self._station.post(Stop(errand=number, reason=reason))
        with trio.move_on_after(self._grace_s, shield=True):
            await self._ended.wait()
        if not self._ended.is_set():
            await self._station.kill(f"{self._place.step} did not stop within {self._grace_s:g} s")

    async def _make(self, asked: Call | FanOut) -> None:
        answer = Answered(call=asked.call, stopped=True)
        try:
            with self._calls[asked.call]:
                answer = Answered(call=asked.call, value=await self._made(asked))
        except Exception as error:  # noqa: BLE001 - the worker's to raise
            answer = Answered(call=asked.call, error=pack_error(error))
        finally:
            del self._calls[asked.call]
            self._station.end_call(asked.call, paid=_may_cost(asked))
            self._station.post(answer)

    async def _made(self, asked: Call | FanOut) -> bytes:
        current_place.set(self._place)
        if isinstance(asked, FanOut):
            return await self._fan_out(asked)
        step = step_named(asked.step)
        return pack(step, await step.perform(step.signature.decode(asked.inputs), self._place))

    async def _fan_out(self, asked: FanOut) -> bytes:
        branches = [self._branch(asked.call, number) for number in range(asked.branches)]
        try:
            fan_out = await decide(_DECISIONS[asked.what], branches, self._place, need=asked.need)
        finally:
            discard(branches)
        return msgspec.msgpack.encode(Outcome(ended=list(fan_out.ended), won=fan_out.won))

    async def _branch(self, call: int, number: int) -> None:
        """Its turn has come: the worker, which has it, makes it."""
        place = current_place.get()
        assert place is not None, "a fan-out says where its branches stand"
        errand = Errand(self._station, place, grace_s=self._grace_s)
        await errand.result(lambda errand: RunBranch(errand=errand, call=call, number=number))

    def _lost(self) -> WorkerLost:
        step = self._place.step or self._place.envelope.label
        return WorkerLost(step=step, worker=self._station.name, reason=self._station.lost)


def _may_cost(asked: Call | FanOut) -> bool:
    """A model may be asked: else what it does is on the worker, and lost with it."""
    return isinstance(asked, Call) and not asked.around
