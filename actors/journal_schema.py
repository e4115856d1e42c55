"""The journal's tables, and how an older file becomes a current one.

Tables, whose names start with an underscore, are private; the views over them (journal_views.py) are the documented way in.
Bodies are the JSON of `contracts/records.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from stratum.actors.inbox import TABLE as INBOX
from stratum.actors.journal_store import transaction
from stratum.actors.journal_views import VIEWS
from stratum.actors.spend_by_day import FOLD
from stratum.actors.spend_by_day import TABLE as SPEND_BY_DAY
from stratum.contracts.errors import JournalUnavailable

APPLICATION_ID = 0x53747261
"""`Stra` in the file's header: a database that lacks it is somebody else's, and is left alone."""

_TABLES = (
    """
    CREATE TABLE _records (
        seq INTEGER PRIMARY KEY,  -- over all runs, without gaps
        run TEXT NOT NULL,
        n INTEGER NOT NULL,       -- within the run, from 1, without gaps
        kind TEXT NOT NULL,
        call TEXT,
        at INTEGER NOT NULL,      -- wall clock, milliseconds since 1970, UTC
        body TEXT NOT NULL,       -- JSON
        body_digest BLOB,         -- of a pruned body: SHA-256 of what it was; else NULL
        hash BLOB NOT NULL,       -- see journal_chain.py
        UNIQUE (run, n)
    )
    """,
    """
    CREATE TABLE _runs (
        run TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        target TEXT NOT NULL,
        session TEXT NOT NULL,    -- that started or last resumed it
        owner TEXT,               -- the session that may append to it; NULL once it finished
        state TEXT NOT NULL,      -- running, or how it finished
        error TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        pruned INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    "CREATE INDEX _runs_by_start ON _runs (started_at)",
)

Migration = Sequence[str]
"""The statements that bring a file from one version to the next."""

MIGRATIONS: tuple[Migration, ...] = (_TABLES, (SPEND_BY_DAY, FOLD, INBOX))
"""Entry `i` brings a file of version `i` to `i + 1`; an empty file is version 0. Released entries never change."""


def migrate(connection: sqlite3.Connection, path: str, *, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the file to the newest version in one transaction, or leave it as it was.

    Raises:
        JournalUnavailable: a newer Stratum wrote the file, or it is not a journal at all.
    """
    newest = len(migrations)
    if _version(connection, path, newest) == newest:
        return
    with transaction(connection):
        # Read again: another process may have migrated it while this one waited for the lock.
        for statements in migrations[_version(connection, path, newest) :]:
            for statement in statements:
                connection.execute(statement)
        for name, select in VIEWS.items():
            connection.execute(f"DROP VIEW IF EXISTS {name}")
            connection.execute(f"CREATE VIEW {name} AS {select}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {newest}")


def refuse_newer(connection: sqlite3.Connection, path: str) -> None:
    """Raise `JournalUnavailable` for a file whose tables a newer Stratum made: they may mean something else."""
    _version(connection, path, len(MIGRATIONS))


def _version(connection: sqlite3.Connection, path: str, newest: int) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if objects and application != APPLICATION_ID:
        raise JournalUnavailable(path=path, problem="not a Stratum journal", fix="name another file")
    if version > newest:
        raise JournalUnavailable(
            path=path,
            problem=f"written by a newer Stratum (schema {version}; this one knows up to {newest})",
            fix="pip install --upgrade stratum-runtime",
        )
    return int(version)
