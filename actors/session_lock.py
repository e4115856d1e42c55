"""One lock file a session, held while it lives: how others know that it is alive.

The kernel lets go of the lock when the process ends, however it ends. A run whose
session's lock is free may be claimed by another.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

from stratum.actors.journal_watermark import FILE_MODE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class SessionLock:
    """The lock of one session, held from construction until `release`.

    flock, not POSIX locks: those are a process's, and two sessions of one process must see each other. A
    child forked without exec keeps it alive, which errs on the safe side.

    Raises:
        ValueError: the session's name cannot be a file name, or another session has it.
    """

    def __init__(self, folder: Path, session: str) -> None:
        if not _NAME.fullmatch(session):
            raise ValueError(f"session {session!r}: use up to 100 letters, digits, dots, dashes and underscores")
        self._path = _lock_path(folder, session)
        self._file = _locked_file(self._path)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def session_alive(folder: Path, session: str) -> bool:
    """Whether some process holds the session's lock."""
    return not _if_free(_lock_path(folder, session), remove=False)


def sweep_sessions(folder: Path) -> None:
    """Remove the lock files of sessions that were killed."""
    for path in folder.glob("*.lock"):
        _if_free(path, remove=True)


def _lock_path(folder: Path, session: str) -> Path:
    return folder / f"{session}.lock"


def _if_free(path: Path, *, remove: bool) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        # Shared: those who ask do not keep each other out.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if remove:
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def _locked_file(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _has_name(file, path):
                return file
        except BlockingIOError:
            if session_alive(path.parent, path.stem):
                os.close(file)
                raise ValueError(
                    f"session {path.stem!r} is already open; give each session a name of its own"
                ) from None
            # Only swept or asked about, by a session that starts at the same moment: it lets go at once.
            time.sleep(0.001)
        os.close(file)


def _has_name(file: int, path: Path) -> bool:
    # A sweep may have removed the file between opening and locking it: a lock on a file without a name guards nothing.
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
