"""The journal's SQL: one connection, used by one thread at a time; no event loop.

Above: journal_writer.py decides when and on which thread. Below: SQLite.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import get_args

import msgspec

from stratum.actors import inbox
from stratum.actors.journal_chain import chain_link, chain_start
from stratum.actors.spend_by_day import SpendByDay
from stratum.contracts.errors import RunError, RunLocked, UnknownRun
from stratum.contracts.messages import Message
from stratum.contracts.records import Approved, PlanProposed, Record, RunFinished, RunResumed, RunStarted, StepsDone

MAX_BODY_BYTES = 64 * 2**20

_ENCODER = msgspec.json.Encoder()

# Many rows a statement: half the time of executemany. Powers of two keep the number of
# distinct statements, which are compiled once and cached, small.
_CHUNKS = (256, 128, 64, 32, 16, 8, 4, 2, 1)
# The cast makes text of the encoder's bytes without a round trip through str.
# SQLite numbers the rows itself, each one above the highest there is.
_PLACES = "(?, ?, ?, ?, ?, CAST(? AS TEXT), ?)"
_INSERTS = {
    size: f"INSERT INTO _records (run, n, kind, call, at, body, hash) VALUES {', '.join([_PLACES] * size)}"
    for size in _CHUNKS
}

# Sets, in which a record's type is looked up: to hold it against five with `isinstance` takes twenty times as long.
LETS_GO = frozenset({RunFinished, PlanProposed})
"""Records after which nobody owns the run: it has ended, or waits until somebody starts it."""
_MOVES = frozenset({RunStarted, PlanProposed, Approved, RunResumed, RunFinished})
"""Records that move a run from state to state."""

_KINDS = {record: str(record.__struct_config__.tag) for record in get_args(Record)}

_Row = tuple[object, ...]
_Tip = tuple[int, bytes]
"""How many records a run has, and the hash of the last one."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A record on its way to the file, encoded."""

    run: str
    record: Record | None
    """`None` of one that is many small ones, of which nothing but its body is kept until it is on disk."""
    kind: str
    at: int
    """Wall clock, milliseconds since 1970."""
    body: bytes


def entry(run: str, record: Record) -> Entry:
    """`record` encoded, as of now.

    Raises:
        ValueError: it is larger than a journal should hold, or than SQLite could.
    """
    body = _ENCODER.encode(record)
    kind = _KINDS[type(record)]
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(
            f"run {run}: a {kind} record of {len(body):,} bytes; at most {MAX_BODY_BYTES:,} are kept: "
            "return a path or a digest instead of the bytes themselves"
        )
    return Entry(run, None if isinstance(record, StepsDone) else record, kind, time.time_ns() // 1_000_000, body)


class Store:
    """Writes entries and changes owners, each in one transaction."""

    def __init__(self, connection: sqlite3.Connection, *, session: str, alive: Callable[[str], bool]) -> None:
        self.connection = connection
        self._session = session
        self._alive = alive
        self._tips: dict[str, _Tip] = {}
        self._spend = SpendByDay(connection)

    def write(self, entries: Sequence[Entry]) -> int:
        """Commit `entries`, at least one; the sequence number of the last one."""
        rows, tips = self._chain(entries)
        moves = [one for one in entries if type(one.record) in _MOVES]
        spent = self._spend.changes((one.run, one.record, one.at) for one in entries)
        if len(rows) == 1 and not moves and not spent:
            # One statement is a transaction by itself. In each of them this thread and the loop's hand the GIL to and fro.
            seq = self._insert(rows)
        else:
            with transaction(self.connection):
                for one in moves:
                    self._note(one)
                seq = self._insert(rows)
                self._spend.add(spent)
        # Only now: had the transaction failed, the tips would be those of records that do not exist.
        self._tips |= tips
        for one in entries:
            if type(one.record) in LETS_GO:
                self._tips.pop(one.run, None)
        return seq

    def hold(self, reservation: str, picousd: int, *, limit_picousd: int, first_day: str) -> int | None:
        """Count a call against what all sessions may spend since `first_day`; what counts already if it does not fit.

        Its reservation, which is recorded before anything is sent, has this on disk too.
        """
        with _not_waiting_for_the_disk(self.connection), transaction(self.connection):
            return self._spend.hold(
                reservation,
                picousd,
                at=time.time_ns() // 1_000_000,
                limit_picousd=limit_picousd,
                first_day=first_day,
            )

    def post(self, run: str, message: Message) -> bool:
        """Leave a message for the session that owns the run; False if none that is alive does."""
        with transaction(self.connection):
            found = self.connection.execute("SELECT owner FROM _runs WHERE run = ?", (run,)).fetchone()
            if found is None:
                raise UnknownRun(run=run)
            if found[0] is None or not self._alive(found[0]):
                return False
            inbox.put(self.connection, run, message)
            return True

    def messages(self, runs: Collection[str]) -> list[tuple[str, Message]]:
        """What others have asked of these runs since the last look."""
        if inbox.is_empty(self.connection):
            return []
        with transaction(self.connection):
            return inbox.take(self.connection, runs)

    def claim(self, run: str) -> int:
        """Make this session the run's owner; how many records it has.

        Raises:
            UnknownRun: not in this journal.
            RunLocked: the session that owns it is alive.
            RunError: it was pruned.
        """
        with _not_waiting_for_the_disk(self.connection), transaction(self.connection):
            found = self.connection.execute("SELECT owner, pruned FROM _runs WHERE run = ?", (run,)).fetchone()
            if found is None:
                raise UnknownRun(run=run)
            owner, pruned = found
            if owner is not None and self._alive(owner):
                raise RunLocked(run=run)
            if pruned:
                raise RunError(
                    run=run, problem="its inputs and results were pruned", fix="start it again, as a new run"
                )
            self.connection.execute("UPDATE _runs SET owner = ? WHERE run = ?", (self._session, run))
            self._tips[run] = last_link(self.connection, run)
        return self._tips[run][0]

    def release(self, run: str) -> None:
        """Let go of a run that was claimed."""
        self._tips.pop(run, None)
        with _not_waiting_for_the_disk(self.connection):
            self.connection.execute("UPDATE _runs SET owner = NULL WHERE run = ? AND owner = ?", (run, self._session))

    def _insert(self, rows: Sequence[_Row]) -> int:
        """Append them; the sequence number of the last one."""
        last = None
        for values, size in _chunked(rows):
            last = self.connection.execute(_INSERTS[size], values).lastrowid
        assert last is not None, "there is a row"
        return last

    def _chain(self, entries: Sequence[Entry]) -> tuple[list[_Row], dict[str, _Tip]]:
        rows: list[_Row] = []
        tips: dict[str, _Tip] = {}
        for one in entries:
            run = one.run
            n, previous = tips.get(run) or self._tips.get(run) or last_link(self.connection, run)
            link = chain_link(previous, n + 1, at=one.at, kind=one.kind, body_digest=sha256(one.body).digest())
            tips[run] = n + 1, link
            rows.append((run, n + 1, one.kind, getattr(one.record, "call", None), one.at, one.body, link))
        return rows, tips

    def _note(self, moves: Entry) -> None:
        """Keep the row of `_runs` in step with the records that move a run from state to state."""
        run, record, at = moves.run, moves.record, moves.at
        match record:
            case RunStarted():
                self.connection.execute(
                    "INSERT INTO _runs (run, name, target, session, owner, state, error, started_at)"
                    " VALUES (?, ?, ?, ?, ?, 'running', '', ?)",
                    (run, record.name, record.target, record.session, self._session, at),
                )
            case PlanProposed():
                self.connection.execute("UPDATE _runs SET state = 'draft', owner = NULL WHERE run = ?", (run,))
            case Approved():
                self.connection.execute("UPDATE _runs SET state = 'approved' WHERE run = ?", (run,))
            case RunResumed():
                self.connection.execute(
                    "UPDATE _runs SET session = ?, state = 'running', error = '', ended_at = NULL WHERE run = ?",
                    (record.session, run),
                )
            case RunFinished():
                self.connection.execute(
                    "UPDATE _runs SET owner = NULL, state = ?, error = ?, ended_at = ? WHERE run = ?",
                    (record.state, record.error, at, run),
                )
            case _:
                raise AssertionError(f"{moves.kind} moves no run")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Write in one transaction: all of it, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk rolls back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _not_waiting_for_the_disk(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Commit what only sessions that are alive ask about: who owns a run, and what is about to be reserved.

    Other processes see it at once. If the power fails before the next record is on disk it is undone, and every session
    is gone.
    """
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous = FULL")


def last_seq(connection: sqlite3.Connection) -> int:
    """The highest sequence number in the file; 0 when it is empty."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM _records").fetchone()[0])


def last_link(connection: sqlite3.Connection, run: str) -> _Tip:
    found = connection.execute("SELECT n, hash FROM _records WHERE run = ? ORDER BY n DESC LIMIT 1", (run,)).fetchone()
    return found or (0, chain_start(run))


def _chunked(rows: Sequence[_Row]) -> Iterator[tuple[list[object], int]]:
    """The rows' values, flattened, as many rows at a time as there is a statement for."""
    start = 0
    while start < len(rows):
        size = next(size for size in _CHUNKS if size <= len(rows) - start)
        yield [value for row in rows[start : start + size] for value in row], size
        start += size
