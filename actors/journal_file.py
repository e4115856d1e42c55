"""Opening the journal's file: looked at before it is touched, private to its user, durable.

What is lost or damaged is found with read-only eyes: opening a database for writing replays and then deletes its
write-ahead log, and with it what a damaged one could still tell.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from stratum.actors.journal_failure import EXPORT_OR_RESTORE, explained
from stratum.actors.journal_schema import migrate
from stratum.actors.journal_store import last_seq
from stratum.actors.journal_watermark import FILE_MODE, Watermark, read_watermark, watermark_path
from stratum.contracts.errors import JournalCorrupt

FOLDER_MODE = 0o700
_BUSY_S = 30.0


def open_file(path: Path) -> tuple[sqlite3.Connection, Watermark]:
    """The journal at `path`, created if need be, checked against its watermark, and migrated.

    Raises:
        JournalCorrupt: acknowledged records are missing. Neither file nor log was touched.
        JournalUnavailable: it cannot be written, or is not a journal that this Stratum knows.
    """
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        check_nothing_lost(path)
        watermark = Watermark(path)
        # SQLite gives its -wal and -shm files the mode of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        with watermark.locked():
            migrate(connection, str(path))
    except (sqlite3.Error, OSError) as error:
        raise explained(error, path=str(path)) from error
    return connection, watermark


def open_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(connection, ":memory:")
    return connection


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, and reads along with whoever does."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def check_nothing_lost(path: Path) -> None:
    """Compare the file with its watermark.

    Raises:
        JournalCorrupt: the file ends before its watermark, or has none.
    """
    acknowledged = _acknowledged(path)
    found = _highest_seq(path)
    if acknowledged is None and found:
        # Looked at again: another process may have created both in between.
        acknowledged = _acknowledged(path)
        if acknowledged is None:
            raise JournalCorrupt(
                path=str(path),
                problem=f"{watermark_path(path).name} is missing, so that it cannot be told whether records are",
                fix=EXPORT_OR_RESTORE,
            )
    if acknowledged is not None and found < acknowledged:
        raise JournalCorrupt(
            path=str(path),
            problem=f"{acknowledged - found} acknowledged records are missing: it ends at {found} of {acknowledged}",
            fix=EXPORT_OR_RESTORE,
        )


def _acknowledged(path: Path) -> int | None:
    try:
        return read_watermark(path)
    except ValueError as error:
        raise JournalCorrupt(
            path=str(path), problem=f"{watermark_path(path).name} is damaged", fix=EXPORT_OR_RESTORE
        ) from error


def _highest_seq(path: Path) -> int:
    # SQLite takes an empty file for a new database, and deletes the log that may lie beside it.
    if not path.exists() or path.stat().st_size == 0:
        return 0
    connection = open_read_only(path)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = '_records'").fetchone()
        return last_seq(connection) if tables else 0
    finally:
        connection.close()
