"""`SpendByDay`: what each day's calls count for, over all runs and sessions of a journal; a fold of its records.

A call counts at its worst case from its reservation on, at what it cost once that is known, and not at all once it is
proven that nothing will be billed. It belongs to the day on which it was reserved.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from stratum.contracts.records import LeftInDoubt, Reconciled, Record, Released, Reserved, Settled

TABLE = """
    CREATE TABLE _spend_by_day (
        day TEXT PRIMARY KEY,     -- UTC, ISO 8601
        picousd INTEGER NOT NULL
    ) WITHOUT ROWID
"""
FOLD = """
    INSERT INTO _spend_by_day (day, picousd)
    WITH closed AS (
        SELECT run, json_extract(body, '$.reservation') AS reservation, max(n),
            CASE kind WHEN 'released' THEN 0 ELSE json_extract(body, '$.picousd') END AS picousd
        FROM _records WHERE kind IN ('settled', 'released', 'reconciled') GROUP BY 1, 2
    )
    SELECT date(held.at / 1000, 'unixepoch'), sum(coalesce(closed.picousd, json_extract(held.body, '$.picousd')))
    FROM _records AS held LEFT JOIN closed
        ON closed.run = held.run AND closed.reservation = json_extract(held.body, '$.reservation')
    WHERE held.kind = 'reserved' GROUP BY 1
"""
"""What the records of a file that had no such table come to. `note` says the same, a record at a time."""
_SPENDS = frozenset({Reserved, Settled, Reconciled, Released, LeftInDoubt})
_ADD = (
    "INSERT INTO _spend_by_day (day, picousd) VALUES (?, ?)"
    " ON CONFLICT (day) DO UPDATE SET picousd = picousd + excluded.picousd"
)


class SpendByDay:
    """One session's part in the table."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._open: dict[str, tuple[str, int]] = {}
        """Of this session's calls whose cost is not known: the day and the worst case."""

    def hold(self, reservation: str, picousd: int, *, at: int, limit_picousd: int, first_day: str) -> int | None:
        """Count a call that is about to be reserved, within a transaction; what counts already if that is too much."""
        counted = counted_since(self._connection, first_day)
        if counted + picousd > limit_picousd:
            return counted
        self._open[reservation] = day_of(at), picousd
        self._connection.execute(_ADD, self._open[reservation])
        return None

    def changes(self, entries: Iterable[tuple[str, Record | None, int]]) -> Counter[str]:
        """By day, what these records, each with its run and time, add; to be given to `add` in their transaction."""
        change: Counter[str] = Counter()
        left: dict[str, tuple[str, int]] = {}  # in doubt by one of these records, of which none is in the file yet
        for run, record, at in entries:
            if type(record) not in _SPENDS:
                continue
            match record:
                case Reserved() if record.reservation not in self._open:
                    self._open[record.reservation] = day_of(at), record.picousd
                    change[day_of(at)] += record.picousd
                case Settled() | Reconciled():
                    day, reserved = self._close(run, record.reservation, at, left)
                    change[day] += record.picousd - reserved
                case Released():
                    day, reserved = self._close(run, record.reservation, at, left)
                    change[day] -= reserved
                case LeftInDoubt():
                    # It goes on counting, until a person reconciles it.
                    if (held := self._open.pop(record.reservation, None)) is not None:
                        left[record.reservation] = held
                case _:
                    pass
        return change

    def add(self, changes: Counter[str]) -> None:
        """Count it, within a transaction."""
        if changes:
            self._connection.executemany(_ADD, changes.items())

    def _close(self, run: str, reservation: str, at: int, left_in_doubt: dict[str, tuple[str, int]]) -> tuple[str, int]:
        held = self._open.pop(reservation, None) or left_in_doubt.pop(reservation, None)
        if held is not None:
            return held
        # Of an earlier session, and now reconciled.
        found = self._connection.execute(
            "SELECT at, json_extract(body, '$.picousd') FROM _records"
            " WHERE run = ? AND kind = 'reserved' AND json_extract(body, '$.reservation') = ?",
            (run, reservation),
        ).fetchone()
        return (day_of(at), 0) if found is None else (day_of(found[0]), found[1] or 0)


def counted_since(connection: sqlite3.Connection, first_day: str) -> int:
    """Picodollars that the calls of `first_day` and later count for."""
    (counted,) = connection.execute(
        "SELECT coalesce(sum(picousd), 0) FROM _spend_by_day WHERE day >= ?", (first_day,)
    ).fetchone()
    return int(counted)


def day_of(at: int) -> str:
    """The UTC day of a time in milliseconds since 1970."""
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
