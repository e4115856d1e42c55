"""Opening the journal's file: looked at before it is touched, private to its user, durable.

What is lost or damaged is found with read-only eyes: opening a database for writing replays and then deletes its
write-ahead log, and with it what a damaged one could still tell.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from stratum.actors.journal_failure import EXPORT_OR_RESTORE, explained
from stratum.actors.journal_schema import migrate
from stratum.actors.journal_store import last_seq
from stratum.actors.journal_watermark import FILE_MODE, Watermark, read_watermark, watermark_path
from stratum.actors.session_lock import SessionLock, sweep_sessions
from stratum.contracts.errors import JournalCorrupt, JournalUnavailable

FOLDER_MODE = 0o700
_BUSY_S = 30.0
_NO_INDEX = frozenset({"SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT"})
_LOG_BYTES = 64 * 2**20
"""What a long reader made the write-ahead log grow to is given back down to this."""


class OpenFile(NamedTuple):
    """A journal's file, open for one session."""

    connection: sqlite3.Connection
    watermark: Watermark
    lock: SessionLock

    def close(self) -> None:
        self.connection.close()
        self.watermark.close()
        self.lock.release()


def open_file(path: Path, session: str) -> OpenFile:
    """The journal at `path`, created if need be, checked against its watermark, and migrated.

    Raises:
        JournalCorrupt: acknowledged records are missing. Neither file nor log was touched.
        JournalUnavailable: it cannot be written, or is not a journal that this Stratum knows.
        ValueError: the session's name cannot be used.
    """
    if path.is_dir():
        raise JournalUnavailable(path=str(path), problem="is a folder", fix=f"name a file in it: {path / 'stratum.db'}")
    with ExitStack() as undo:
        try:
            _make_folder(path.parent)
            _make_folder(sessions_folder(path))
            check_nothing_lost(path)
            lock = SessionLock(sessions_folder(path), session)
            undo.callback(lock.release)
            sweep_sessions(sessions_folder(path))
            watermark = Watermark(path)
            undo.callback(watermark.close)
            connection = _connect(path)
            undo.callback(connection.close)
            with watermark.locked():
                _prepare(connection, path)
        except (sqlite3.Error, OSError) as error:
            raise explained(error, path=str(path)) from error
        undo.pop_all()
    return OpenFile(connection, watermark, lock)


def sessions_folder(path: Path) -> Path:
    return path.parent / "sessions"


def open_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(connection, ":memory:")
    return connection


def holds_anything(path: Path) -> bool:
    """Whether SQLite may look at it: it takes an empty file for a new database, and deletes the log beside it."""
    return path.exists() and path.stat().st_size > 0


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, and reads along with whoever does.

    Raises:
        sqlite3.Error: there is no database, or it cannot be read.
    """
    return _connect_read_only(path, "mode=ro")


def open_anywhere(path: Path) -> tuple[sqlite3.Connection, bool]:
    """`open_read_only`, also in a folder that cannot be written; and whether records are out of sight there.

    Raises:
        sqlite3.Error: there is no database, or it cannot be read.
    """
    try:
        return _connect_read_only(path, "mode=ro"), False
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname not in _NO_INDEX or not path.exists():
            raise
    # Readers share an index of the log in a file beside it, which such a folder cannot take: without it, no log.
    log = path.with_name(path.name + "-wal")
    return _connect_read_only(path, "immutable=1"), log.exists() and log.stat().st_size > 0


def _connect_read_only(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA query_only = ON")
        # SQLite opens the file only now.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def check_nothing_lost(path: Path) -> None:
    """Compare the file with its watermark.

    Raises:
        JournalCorrupt: the file ends before its watermark, or has none, or is damaged.
        JournalUnavailable: it cannot be read.
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


def _make_folder(folder: Path) -> None:
    if folder.exists():
        return
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)  # another process may just have made it
    # A folder whose name is not on disk takes a synced journal with it when the power fails.
    parent = os.open(folder.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _connect(path: Path) -> sqlite3.Connection:
    # SQLite gives its -wal and -shm files the mode of the database.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    return sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    migrate(connection, str(path))
    connection.execute("PRAGMA journal_mode = WAL")
    # NORMAL loses acknowledged commits when the power fails; FULL does not. Set on every connection: it is not kept.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")


def _acknowledged(path: Path) -> int | None:
    try:
        return read_watermark(path)
    except ValueError as error:
        raise JournalCorrupt(
            path=str(path), problem=f"{watermark_path(path).name} is damaged", fix=EXPORT_OR_RESTORE
        ) from error


def _highest_seq(path: Path) -> int:
    if not holds_anything(path):
        return 0
    try:
        with closing(open_read_only(path)) as connection:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = '_records'").fetchone()
            return last_seq(connection) if tables else 0
    except sqlite3.Error as error:
        raise explained(error, path=str(path)) from error
