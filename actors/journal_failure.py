"""What SQLite and the operating system say when they fail, in words that end with what to do."""

from __future__ import annotations

import errno
import sqlite3

from stratum.contracts.errors import JournalCorrupt, JournalError, JournalUnavailable

EXPORT_OR_RESTORE = (
    "the file was left as it is: `stratum journal export` saves what can still be read; "
    "then restore a backup, or keep what is left with `stratum journal accept`"
)

_FULL = ("no space left to write it", "free some space, then resume the run")
_DISK = ("the disk failed, or has no space left", "look at the disk and its space, then resume the run")
_READ_ONLY = ("it cannot be written", "make the file and its folder writable, or set another with STRATUM_JOURNAL")
_BUSY = ("another program keeps it locked", "close what has it open, then resume the run")
_DAMAGED = ("the file is damaged", EXPORT_OR_RESTORE)

_TWICE = ("a run of this session was also written by somebody else", "resume it once nobody else is running it")

_BY_SQLITE_NAME = {
    "SQLITE_CONSTRAINT": _TWICE,
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": _DISK,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_CANTOPEN": _READ_ONLY,
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_BUSY": _BUSY,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
}
_BY_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
}
_UNKNOWN_FIX = "see the cause above; runs that were cut off can be resumed once it is gone"


def explained(error: Exception, *, path: str) -> JournalError:
    """The journal's own error for what went wrong below it."""
    problem, fix = _problem(error)
    kind = JournalCorrupt if (problem, fix) == _DAMAGED else JournalUnavailable
    return kind(path=path, problem=f"{problem} ({error})", fix=fix)


def _problem(error: Exception) -> tuple[str, str]:
    unknown = (f"writing failed: {type(error).__name__}", _UNKNOWN_FIX)
    if isinstance(error, sqlite3.Error):
        # Extended codes (SQLITE_IOERR_WRITE, SQLITE_READONLY_DIRECTORY) begin with the plain one.
        name = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
        return _BY_SQLITE_NAME.get(name, unknown)
    if isinstance(error, OSError) and error.errno is not None:
        return _BY_ERRNO.get(error.errno, unknown)
    return unknown
