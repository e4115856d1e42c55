"""`Doubt`: a request that was sent, or may have been, and whose outcome nobody knows; it counts in full until it is reconciled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from stratum.contracts.money import format_usd
from stratum.contracts.records import LeftInDoubt, Reconciled, Record, Released, Reserved, RunResumed, Settled

_ENDED: Final = "its process ended before an answer came"


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """One reservation that was neither settled nor released."""

    reservation: str
    call: str
    attempt: int
    model: str
    picousd: int
    """What it counts as: the worst case."""
    tokens: int
    why: str

    def __str__(self) -> str:
        model = f", {self.model}" if self.model else ""
        return (
            f"{self.reservation}  {format_usd(self.picousd)} USD  {self.tokens} tokens  "
            f"{self.call}, attempt {self.attempt}{model}: {self.why}"
        )


def doubts_of(records: Iterable[Record], *, alive: bool) -> list[Doubt]:
    """In the order in which they were sent. While a process is at work on the run (`alive`), what is under way is not in doubt."""
    open_now: dict[str, Reserved] = {}
    why: dict[str, str] = {}
    for record in records:
        match record:
            case Reserved():
                open_now[record.reservation] = record
            case Settled() | Released() | Reconciled():
                open_now.pop(record.reservation, None)
            case LeftInDoubt():
                why[record.reservation] = record.reason
            case RunResumed():
                why = {**dict.fromkeys(open_now, _ENDED), **why}
            case _:
                pass
    return [
        Doubt(
            reservation=held.reservation,
            call=held.call,
            attempt=held.attempt,
            model=held.model,
            picousd=held.picousd,
            tokens=held.tokens,
            why=why.get(held.reservation, _ENDED),
        )
        for held in open_now.values()
        if held.reservation in why or not alive
    ]


def render_doubts(run: str, doubts: Sequence[Doubt]) -> list[str]:
    """The lines that an audit of the run ends with, the first of which says how to settle them; none where nothing is in doubt."""
    if not doubts:
        return []
    picousd = sum(doubt.picousd for doubt in doubts)
    head = f"In doubt: {format_usd(picousd)} USD besides, counted until the provider's bill is looked at"
    return [f"{head}: `stratum reconcile {run} RESERVATION --usd ...`", *(f"  {doubt}" for doubt in doubts)]
