"""The side file: the highest sequence number that was ever acknowledged.

SQLite silently drops everything after a damaged frame of its write-ahead log, and its
integrity check then passes. A number that stands outside the database does not go with it:
a journal that ends before its watermark has lost records that somebody was told are safe.

    commit -> watermark -> acknowledgement

The write is not synced: a power cut may leave it older than the database, which is harmless,
never newer. Its lock orders the processes that write one journal: waiting on it is fair and
costs nothing, where SQLite's own busy handler polls.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

FILE_MODE = 0o600
_DIGITS = 20


def watermark_path(journal: Path) -> Path:
    return journal.with_name(journal.name + ".acknowledged")


def read_watermark(journal: Path) -> int | None:
    """The acknowledged sequence number; `None` when there is no side file.

    Raises:
        ValueError: the side file is not a number.
    """
    try:
        text = watermark_path(journal).read_bytes()
    except FileNotFoundError:
        return None
    return int(text) if text else 0


class Watermark:
    """The open side file of one journal."""

    def __init__(self, journal: Path) -> None:
        self._file = os.open(watermark_path(journal), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Hold the lock that one writer at a time has, among all processes."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def write(self, seq: int) -> None:
        """Acknowledge everything up to `seq`; call it with the lock held, so that the number only rises."""
        # The same bytes of one sector each time: a crash leaves the old number or the new one.
        os.pwrite(self._file, b"%0*d\n" % (_DIGITS, seq), 0)

    def close(self) -> None:
        os.close(self._file)
