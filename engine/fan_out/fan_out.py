"""`FanOut`: branches at once under one budget, each a task from when it is its turn.

Below: the ledger says whose turn it is. Above: `parallel`, `race` and `quorum` say how many have to succeed. Branches
that nobody has admitted yet are coroutines that have not begun, not tasks: an exhausted budget stops 10,000 of them by
never starting them.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
import trio

from stratum.contracts.ended import Failure, Success
from stratum.contracts.error_groups import unwrapped
from stratum.contracts.signature import Signature
from stratum.engine.discarded import discard
from stratum.engine.place import Place, current_place
from stratum.engine.recorded_as import RecordedAs
from stratum.engine.step_record import StepRecord

T = TypeVar("T")

Branch = Coroutine[Any, Any, T]


class FanOut(Generic[T]):
    """Runs `branches` at once in steps below `place`; done when `need` of them have succeeded, or can no longer.

    `need=None` waits for all, however they end. Cancelled from outside, it stops all of them.
    """

    def __init__(self, branches: Sequence[Branch[T]], place: Place, *, need: int | None) -> None:
        self._branches = branches
        self._place = place
        self._need = need
        self._scope = trio.CancelScope()
        self._failures = 0
        self._stopped = False
        """A branch was, and the nursery has its `Cancelled`."""
        self.ended: dict[int, Success[T] | Failure] = {}
        """By number, in the order they ended; not those that were stopped."""
        self.won: list[int] = []
        """Those that succeeded, in the order they did, until there were enough."""
        self.error: Exception | None = None
        """Of the branch after whose failure not enough could succeed any more."""

    async def run(self, only: Sequence[int] | None = None) -> None:
        """Until it is decided; `only` these branches, where an earlier life of the run has decided.

        Raises:
            BudgetExceeded: a budget around is exhausted, and its cancellation does not reach here.
        """
        chosen = range(len(self._branches)) if only is None else only
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                for number in chosen:
                    await self._place.envelope.turn()
                    nursery.start_soon(self._run_branch, number)
                    await trio.lowlevel.checkpoint()
        except BaseExceptionGroup as group:
            error = unwrapped(group)
            if error is group:
                raise
            raise error from None
        finally:
            discard(self._branches)  # those that never began

    async def _run_branch(self, number: int) -> None:
        current_place.set(msgspec.structs.replace(self._place, branch=str(number)))
        try:
            value = await self._branches[number]
        except trio.Cancelled:
            # One stands for all that are stopped: trio tells them apart by nothing, and writes each out for every nursery
            # around, which takes a tenth of the time to stop a call.
            if not self._stopped:
                self._stopped = True
                raise
        except Exception as error:  # noqa: BLE001 - a branch's failure is a result here; what stops it passes
            self._failed(number, error)
        else:
            self._succeeded(number, value)

    def _succeeded(self, number: int, value: T) -> None:
        if self._scope.cancel_called:
            return  # recorded, and paid for; but it came too late
        self.ended[number] = Success(value)
        self.won.append(number)
        if len(self.won) == self._need:
            self._scope.cancel(reason="enough branches have succeeded")

    def _failed(self, number: int, error: Exception) -> None:
        if self._scope.cancel_called:
            return
        self.ended[number] = Failure(error)
        self._failures += 1
        if self._need is not None and len(self._branches) - self._failures < self._need:
            self.error = error
            self._scope.cancel(reason="too many branches have failed")


Decision = RecordedAs[list[int]]
"""A fan-out as a step of its run: which branches won is its result."""


def decision(name: str) -> Decision:
    """Of the fan-out that is called `name` in the journal."""

    def decided(branches: int, require: str) -> list[int]: ...  # type: ignore[empty-body]

    decided.__name__ = name
    return Decision(kind="parallel", signature=Signature.of(decided))


PARALLEL: Final = decision("parallel")
RACE: Final = decision("race")
SAMPLES: Final = decision("samples")


async def decide(what: Decision, branches: Sequence[Branch[T]], place: Place, *, need: int | None) -> FanOut[T]:
    """Run a fan-out as a step at `place`. A resumed run does not ask again the branches that lost.

    Raises:
        Exception: of the branch after whose failure not enough could succeed any more.
    """
    require = "0" if need is None else str(need)
    record = StepRecord(what, {"branches": len(branches), "require": require}, place)
    recorded = None if record.recorded is None else what.signature.returns.recall(record.recorded)
    fan_out = FanOut(branches, msgspec.structs.replace(place, step=record.id), need=need)
    if recorded is not None:
        await fan_out.run(only=recorded if need is not None else None)
        if fan_out.error is not None:
            raise fan_out.error
        return fan_out
    try:
        await fan_out.run()
        if fan_out.error is not None:
            raise fan_out.error
    except BaseException as error:
        record.failed(error)
        raise
    record.completed(sorted(fan_out.won))
    return fan_out
