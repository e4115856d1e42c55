"""The state of a journal's file: `verify` looks at every record, `accept` makes the present state the acknowledged one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from stratum.actors.journal_chain import chain_link, chain_start
from stratum.actors.journal_failure import explained
from stratum.actors.journal_file import check_nothing_lost, holds_anything, open_anywhere
from stratum.actors.journal_store import last_seq
from stratum.actors.journal_watermark import Watermark, read_watermark
from stratum.contracts.errors import JournalCorrupt, JournalUnavailable

_SMALLEST_RECORD_BYTES = 64
"""Hash, digest and keys alone take as much; bounds how many records a file can hold."""


class Row(NamedTuple):
    """One record as it lies in the file."""

    seq: int
    run: str
    n: int
    kind: str
    at: int
    body: str
    pruned_digest: bytes | None
    hash: bytes


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify_journal` found."""

    records: int
    """Readable ones."""
    runs: int
    faults: tuple[str, ...]
    """What is wrong, each in a sentence; empty: nothing."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What `accept_journal` changed."""

    before: int | None
    """The records acknowledged until now; `None` when that was not known any more."""
    now: int


class ChainCheck:
    """Follows the chains of all runs through rows in the order of `seq`."""

    def __init__(self) -> None:
        self.records = 0
        self.broken: dict[str, int] = {}
        """By run, the first record that is missing or altered."""
        self._tips: dict[str, tuple[int, bytes]] = {}

    @property
    def runs(self) -> int:
        return len(self._tips)

    def feed(self, row: Row) -> bool:
        """Whether the row continues its run's chain, and everything before it in the run did."""
        self.records += 1
        n, previous = self._tips.get(row.run) or (0, chain_start(row.run))
        digest = row.pruned_digest or sha256(row.body.encode()).digest()
        link = chain_link(previous, n + 1, at=row.at, kind=row.kind, body_digest=digest)
        if (row.n, row.hash) != (n + 1, link):
            self.broken.setdefault(row.run, n + 1)
        self._tips[row.run] = row.n, row.hash
        return row.run not in self.broken


def verify_journal(path: Path) -> Verdict:
    """Read everything: SQLite's own structure, the watermark, and every run's chain. Changes nothing.

    Raises:
        JournalError: there is no journal, or nothing in it can be read.
    """
    check = ChainCheck()
    with closing(open_for_rescue(path)) as connection:
        faults = [*_loss(path), *_structure_faults(connection)]
        last = 0
        for row in readable_rows(connection, path):
            if row.seq != last + 1:
                faults.append(f"records {last + 1} to {row.seq - 1} cannot be read")
            last = row.seq
            check.feed(row)
    faults += [f"run {run}: record {n} is missing or altered" for run, n in check.broken.items()]
    return Verdict(records=check.records, runs=check.runs, faults=tuple(faults))


def accept_journal(path: Path) -> Accepted:
    """Acknowledge what the file holds now, after a backup was restored or a loss has been looked at.

    Raises:
        JournalError: there is no journal, or it cannot be read.
    """
    try:
        before = read_watermark(path)
    except ValueError:
        before = None
    if not path.exists() and before is None:
        raise JournalUnavailable(path=str(path), problem="there is no journal", fix="name another file")
    with closing(Watermark(path)) as watermark, watermark.locked():
        now = _last_readable(path) if holds_anything(path) else 0
        watermark.write(now)
    return Accepted(before=before, now=now)


def open_for_rescue(path: Path) -> sqlite3.Connection:
    """A read-only connection to a file that may be damaged.

    Raises:
        JournalError: nothing in it can be read.
    """
    if not holds_anything(path):
        raise JournalUnavailable(path=str(path), problem="there is nothing in it", fix="name another file")
    try:
        return open_anywhere(path)[0]
    except sqlite3.Error as error:
        raise explained(error, path=str(path)) from error


def readable_rows(connection: sqlite3.Connection, path: Path) -> Iterator[Row]:
    """Every row that can still be read, in the order of `seq`; those on a damaged page are left out."""
    following, last = 1, _highest_possible(connection, path)
    while following <= last:
        try:
            rows = connection.execute(
                "SELECT seq, run, n, kind, at, body, body_digest, hash FROM _records WHERE seq >= ? ORDER BY seq",
                (following,),
            )
            for row in map(Row._make, rows):
                following = row.seq + 1
                yield row
            return
        except sqlite3.DatabaseError:
            # The page with this row is unreadable. The next row may be on another.
            following += 1


def _loss(path: Path) -> Iterator[str]:
    try:
        check_nothing_lost(path)
    except JournalCorrupt as error:
        yield error.problem


def _structure_faults(connection: sqlite3.Connection) -> Iterator[str]:
    try:
        for (finding,) in connection.execute("PRAGMA integrity_check(10)"):
            if finding != "ok":
                yield f"SQLite finds: {finding}"
    except sqlite3.DatabaseError as error:
        yield f"SQLite finds: {error}"


def _last_readable(path: Path) -> int:
    with closing(open_for_rescue(path)) as connection:
        try:
            return last_seq(connection)
        except sqlite3.DatabaseError as error:
            raise explained(error, path=str(path)) from error


def _highest_possible(connection: sqlite3.Connection, path: Path) -> int:
    """Where to stop looking: the last record there is, was, or could be."""
    try:
        return last_seq(connection)
    except sqlite3.DatabaseError:
        pass
    try:
        acknowledged = read_watermark(path)
    except ValueError:
        acknowledged = None
    return acknowledged or path.stat().st_size // _SMALLEST_RECORD_BYTES
