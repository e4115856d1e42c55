"""`replay`: the ledger's numbers, recomputed from a run's journal.

Written without the ledger's own arithmetic, so that comparing the two means something.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from stratum.actors.amount import Amount, Limits, Spendable
from stratum.contracts.records import (
    LeftInDoubt,
    LimitRaised,
    Reconciled,
    Record,
    Released,
    Reserved,
    RunResumed,
    ScopeOpened,
    Settled,
)


class OpenReservation(msgspec.Struct):
    """A reservation that was neither settled nor released."""

    id: str
    scope: str
    """The path of the innermost scope charged."""
    amount: Amount
    in_doubt: bool = False


class ScopeState(msgspec.Struct):
    """One scope's limits and numbers."""

    label: str = ""
    limits: Limits = Limits()
    settled: Amount = Amount()
    in_flight: Amount = Amount()
    in_doubt: Amount = Amount()
    overdrawn: Spendable | None = None
    """An overrun took it past its limit, and nobody has raised that since."""

    @property
    def counted(self) -> Amount:
        return self.settled + self.in_flight + self.in_doubt


class LedgerState:
    """What a run's records say of its budgets, up to the last one folded in."""

    def __init__(self) -> None:
        self.scopes: dict[str, ScopeState] = {}
        """By path; "" is the run."""
        self.open: dict[str, OpenReservation] = {}
        """By id: in flight or in doubt."""
        self.elapsed_ms = 0

    def open_within(self, path: str) -> Iterator[OpenReservation]:
        """Open reservations charged to the scope at `path`."""
        return (held for held in self.open.values() if path in _prefixes(held.scope))

    def fold(self, record: Record) -> None:
        """Go one record on.

        Raises:
            ValueError: the record contradicts those before it.
        """
        self.elapsed_ms = max(self.elapsed_ms, record.elapsed_ms)
        match record:
            case ScopeOpened():
                self._open_scope(record)
            case Reserved():
                self._reserve(record)
            case Settled() | Reconciled():
                self._book(record.reservation, Amount(record.picousd, record.tokens))
            case Released():
                self._book(record.reservation, Amount())
            case LeftInDoubt():
                self._doubt(self._held(record.reservation))
            case LimitRaised():
                state = self._scope(record.scope)
                state.limits = state.limits.raised_to(Limits.from_record(record.limits))
                state.overdrawn = state.limits.exceeded_by(state.counted)
            case RunResumed():
                for held in self.open.values():
                    self._doubt(held)
            case _:
                pass  # not about budgets

    def _open_scope(self, record: ScopeOpened) -> None:
        """One that was open before goes on as it was: its limits change by `LimitRaised` alone."""
        if record.scope not in self.scopes:
            self.scopes[record.scope] = ScopeState(label=record.label, limits=Limits.from_record(record.limits))

    def _reserve(self, record: Reserved) -> None:
        if record.reservation in self.open:
            raise ValueError(f"reservation {record.reservation!r} is open already; the journal contradicts itself")
        self._scope(record.scope)
        amount = Amount(record.picousd, record.tokens)
        self.open[record.reservation] = OpenReservation(record.reservation, record.scope, amount)
        for state in self._charged(record.scope):
            state.in_flight += amount

    def _doubt(self, held: OpenReservation) -> None:
        if held.in_doubt:
            return
        held.in_doubt = True
        for state in self._charged(held.scope):
            state.in_flight -= held.amount
            state.in_doubt += held.amount

    def _book(self, reservation: str, actual: Amount) -> None:
        held = self._held(reservation)
        del self.open[reservation]
        for state in self._charged(held.scope):
            if held.in_doubt:
                state.in_doubt -= held.amount
            else:
                state.in_flight -= held.amount
            state.settled += actual
            if actual.exceeds(held.amount):
                state.overdrawn = state.limits.exceeded_by(state.counted) or state.overdrawn

    def _held(self, reservation: str) -> OpenReservation:
        held = self.open.get(reservation)
        if held is None:
            raise ValueError(f"reservation {reservation!r} is not open; the journal contradicts itself")
        return held

    def _scope(self, path: str) -> ScopeState:
        state = self.scopes.get(path)
        if state is None:
            raise ValueError(f"scope {path!r} was never opened; the journal contradicts itself")
        return state

    def _charged(self, path: str) -> Iterator[ScopeState]:
        return (self.scopes[prefix] for prefix in _prefixes(path) if prefix in self.scopes)


def replay(records: Iterable[Record]) -> LedgerState:
    """Fold a run's records, in order.

    Raises:
        ValueError: they contradict each other.
    """
    state = LedgerState()
    for record in records:
        state.fold(record)
    return state


def _prefixes(path: str) -> list[str]:
    """`a/b`: `""`, `a`, `a/b`."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:length]) for length in range(len(parts) + 1)]
