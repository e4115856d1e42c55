"""Reading the journal: a run's records, checked against their chain, and the list of runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final

import msgspec

from stratum.actors.journal_chain import chain_link, chain_start
from stratum.actors.journal_failure import EXPORT_OR_RESTORE
from stratum.contracts.errors import JournalCorrupt, JournalUnavailable, UnknownRun
from stratum.contracts.records import Record

_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


OUTSIDE: Final = "(calls outside a flow)"
"""What the run of a session is called, which has those."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the journal lists it."""

    run: str
    name: str
    target: str
    session: str
    state: str
    """`running`, `interrupted` (its process is gone; it can be resumed), or how it finished."""
    error: str
    started_at: int
    """Milliseconds since 1970, UTC."""
    ended_at: int | None

    @property
    def title(self) -> str:
        """What people are told that it is: the run of a session has no name of its own."""
        return self.name if self.target else OUTSIDE


def list_runs(
    connection: sqlite3.Connection, *, alive: Callable[[str], bool], limit: int, idle: bool = True
) -> list[Run]:
    """The last `limit` runs, newest first.

    Every runtime has one of its own, for what is called outside of any flow; not `idle`: without those in which nothing was.
    """
    rows = connection.execute(
        "SELECT run, name, target, session, owner, state, error, started_at, ended_at FROM _runs AS listed"
        " WHERE ? OR target <> '' OR EXISTS"
        " (SELECT 1 FROM _records WHERE run = listed.run AND kind = 'call_started')"
        " ORDER BY started_at DESC, run LIMIT ?",
        (idle, limit),
    )
    return [_run(row, alive) for row in rows]


def find_run(connection: sqlite3.Connection, run: str, *, alive: Callable[[str], bool]) -> Run:
    """One run as the journal lists it.

    Raises:
        UnknownRun: not in this journal.
    """
    row = connection.execute(
        "SELECT run, name, target, session, owner, state, error, started_at, ended_at FROM _runs WHERE run = ?", (run,)
    ).fetchone()
    if row is None:
        raise UnknownRun(run=run)
    return _run(row, alive)


def has_asked(connection: sqlite3.Connection, run: str, *, after: int) -> bool:
    """Whether one of the run's records after the first `after` asks a person something."""
    sql = "SELECT 1 FROM _records WHERE run = ? AND n > ? AND kind = 'gate_opened' LIMIT 1"
    return connection.execute(sql, (run, after)).fetchone() is not None


def read_run(connection: sqlite3.Connection, run: str) -> list[Record]:
    """The run's records, in order.

    Raises:
        UnknownRun: not in this journal.
        JournalCorrupt: a record is missing or altered.
        JournalUnavailable: a record is of a kind that this Stratum does not know.
    """
    bodies = list(verified_bodies(connection, run))
    if not bodies:
        raise UnknownRun(run=run)
    return [decoded(body, connection, run=run) for body in bodies]


def decoded(body: str, connection: sqlite3.Connection, *, run: str) -> Record:
    """A record from its JSON.

    Raises:
        JournalUnavailable: it is of a kind that this Stratum does not know, or has another form.
    """
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise JournalUnavailable(
            path=_file_of(connection),
            problem=f"run {run} has a record that this Stratum does not know ({error})",
            fix="use the version that wrote it, or a newer one: pip install --upgrade stratum-runtime",
        ) from error


def verified_bodies(connection: sqlite3.Connection, run: str) -> Iterator[str]:
    """The JSON of the run's records, each checked against the chain before it is given out.

    Raises:
        JournalCorrupt: a record is missing or altered; those before it are sound.
    """
    previous = chain_start(run)
    rows = connection.execute(
        "SELECT n, kind, at, body, body_digest, hash FROM _records WHERE run = ? ORDER BY n", (run,)
    )
    for expected, (n, kind, at, body, pruned_digest, link) in enumerate(rows, start=1):
        digest = pruned_digest or sha256(body.encode()).digest()
        previous = chain_link(previous, expected, at=at, kind=kind, body_digest=digest)
        if n != expected or link != previous:
            raise JournalCorrupt(
                path=_file_of(connection),
                problem=f"run {run}: record {expected} is missing or altered",
                fix=EXPORT_OR_RESTORE,
            )
        yield body


def _run(row: tuple[str, str, str, str, str | None, str, str, int, int | None], alive: Callable[[str], bool]) -> Run:
    run, name, target, session, owner, state, error, started_at, ended_at = row
    if state == "running" and not (owner and alive(owner)):
        state = "interrupted"
    return Run(
        run=run,
        name=name,
        target=target,
        session=session,
        state=state,
        error=error,
        started_at=started_at,
        ended_at=ended_at,
    )


def _file_of(connection: sqlite3.Connection) -> str:
    (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
    return path or ":memory:"
