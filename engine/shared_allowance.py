"""`SharedAllowance`: one session's way to what all sessions of a project may spend together.

Below: the journal counts, in one transaction, over every session that writes to it. Above: a call holds its place here
after its own budgets have admitted it, and before its reservation is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from stratum.actors.journal import Journal
from stratum.actors.reservation import Reservation
from stratum.contracts.allowance import Allowance
from stratum.contracts.errors import AllowanceExceeded, Completed


class AllowanceSpent(Exception):
    """Why a call was refused before its reservation. Internal: users see `AllowanceExceeded`."""

    resource: Final = "usd"

    def __init__(self, allowance: Allowance, *, counted_picousd: int, requested_picousd: int, run: str) -> None:
        super().__init__(f"{requested_picousd} picodollars do not fit beside {counted_picousd}")
        self._allowance = allowance
        self._counted_picousd = counted_picousd
        self._requested_picousd = requested_picousd
        self._run = run

    def exceeded(self, *, completed: Sequence[Completed] = (), remaining: Sequence[str] = ()) -> AllowanceExceeded:
        """The error for the owner of the run."""
        return AllowanceExceeded(
            resource=self.resource,
            limit=self._allowance.picousd,
            settled=self._counted_picousd,
            requested=self._requested_picousd,
            step=self._run,
            per=self._allowance.per,
            completed=completed,
            remaining=remaining,
        )


class SharedAllowance:
    """Waits only for calls of its own session: what others have in flight counts as spent."""

    def __init__(self, allowance: Allowance, journal: Journal) -> None:
        self._allowance = allowance
        self._journal = journal
        self._turn = trio.Lock()  # in order of arrival, and one transaction at a time
        self._in_flight: dict[str, int] = {}
        self._in_flight_picousd = 0
        self._ended = trio.Event()

    async def hold(self, reservation: Reservation, *, run: str) -> None:
        """Count a call's worst case, or wait until calls of this session that are in flight leave room for it.

        If cancelled, nothing is held.

        Raises:
            AllowanceSpent: there will be no room for it.
        """
        picousd = reservation.picousd
        async with self._turn:
            while True:
                ended = self._ended
                # To the end, though cancelled: what is counted must be reserved, or it stays counted.
                with trio.CancelScope(shield=True):
                    counted = await self._journal.hold(reservation.id, picousd, self._allowance)
                if counted is None:
                    self._in_flight[reservation.id] = picousd
                    self._in_flight_picousd += picousd
                    return
                if counted - self._in_flight_picousd + picousd > self._allowance.picousd:
                    raise AllowanceSpent(self._allowance, counted_picousd=counted, requested_picousd=picousd, run=run)
                await ended.wait()

    def end(self, reservation: Reservation) -> None:
        """The call is no longer in flight; the record that says so is appended before the next checkpoint."""
        self._in_flight_picousd -= self._in_flight.pop(reservation.id, 0)
        self._ended.set()
        self._ended = trio.Event()
