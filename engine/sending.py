"""`Sending`: a block around one request, from its place in the model's pace to its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from stratum.engine.providers.protocol import Request, TransportFailure

if TYPE_CHECKING:
    from stratum.actors.rate_limiter import Slot
    from stratum.actors.reservation import Reservation


class Sending:
    """However the block ends, the slot is left; what ends it while the request is in flight is told to `abandon`.

    One block for all of that: what stops a call takes as long to pass through one as a small record takes to write.
    """

    __slots__ = ("_abandon", "_slot", "failure", "in_flight")

    def __init__(self, slot: Slot, *, abandon: Callable[[Reservation, Request, BaseException], None]) -> None:
        self.in_flight: tuple[Reservation, Request] | None = None
        """From when the provider has it until its answer is there."""
        self.failure: TransportFailure | None = None
        """With which the block ended; it is not raised."""
        self._slot = slot
        self._abandon = abandon

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        self._slot.leave()
        if self.in_flight is None or error is None:
            return False
        if isinstance(error, TransportFailure):
            self.failure = error
            return True
        self._abandon(*self.in_flight, error)
        return False
