"""`ActiveCall`: one call between its first reservation and its result. `on_exhaustion="drain"` waits for those."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from stratum.engine.envelope import Envelope


class ActiveCall:
    """A block, counted in every envelope that the call draws from.

    `around` is the call in whose condition this one is made, as a judge's is.
    """

    __slots__ = ("_around", "_envelope", "_parked")

    def __init__(self, envelope: Envelope, *, around: ActiveCall | None) -> None:
        self._envelope = envelope
        self._around = around
        self._parked = 0
        """How many of this call and those in its conditions wait to be cancelled."""

    def __enter__(self) -> Self:
        self._envelope.count_active(+1)
        return self

    def __exit__(self, *error: object) -> None:
        self._envelope.count_active(-1)

    async def park(self, owner: Envelope, *, after: BaseException | None) -> NoReturn:
        """Wait to be cancelled: `owner`, around this call, is exhausted, and need not wait for it.

        Nor for the call around it, which waits for this one. `after` is the cause of what it raises.

        Raises:
            BudgetExceeded: of `owner`, in a task that it cannot cancel: in a nursery around the flow, or shielded.
        """
        self._count_parked(+1)
        try:
            await owner.stopped.wait()
            raise owner.exceeded() from after
        finally:
            self._count_parked(-1)

    def _count_parked(self, change: int) -> None:
        call: ActiveCall | None = self
        while call is not None:
            before = call._parked
            call._parked += change
            if before == 0 or call._parked == 0:
                call._envelope.count_active(-change)
            call = call._around
