"""`AnswerCache`: accepted answers by key, in memory or in a file beside the journal; equal calls are made once.

A cache never fails a call: what cannot be read is not there, what cannot be written is not kept.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import trio

MOST_IN_MEMORY: Final = 4096
_TABLE: Final = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, output BLOB NOT NULL) WITHOUT ROWID"
_LOG: Final = logging.getLogger("stratum")


class AnswerCache:
    """Used from one event loop; a file may be shared with other processes."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._kept: dict[str, bytes] = {}
        self._at_work: dict[str, trio.Event] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncGenerator[bytes | None]:
        """What is kept under `key`; `None`: the caller makes it inside the block and `keep`s it, and equal ones wait.

        When the caller fails, the next one has its turn.
        """
        while (found := await self._read(key)) is None and (busy := self._at_work.get(key)) is not None:
            await busy.wait()
        if found is not None:
            yield found
            return
        done = self._at_work[key] = trio.Event()
        try:
            yield None
        finally:
            del self._at_work[key]
            done.set()

    async def keep(self, key: str, output: bytes) -> None:
        """Keep an accepted answer; one that is kept already is replaced."""
        self.remember(key, output)
        if self._file is not None:
            await trio.to_thread.run_sync(_write, self._file, key, output)

    def remember(self, key: str, output: bytes) -> None:
        """Keep it in memory alone."""
        if len(self._kept) >= MOST_IN_MEMORY:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = output

    async def _read(self, key: str) -> bytes | None:
        if key not in self._kept and self._file is not None:
            found = await trio.to_thread.run_sync(_read, self._file, key)
            if found is not None and key not in self._kept:
                self.remember(key, found)
        return self._kept.get(key)


def _read(file: Path, key: str) -> bytes | None:
    if not file.exists():
        return None
    try:
        with closing(_open(file)) as connection:
            row = connection.execute(
                "SELECT output FROM answers WHERE key = ? AND typeof(output) = 'blob'", (key,)
            ).fetchone()
    except sqlite3.Error as error:
        _LOG.warning("the cache %s cannot be read: %s; remove it", file, error)
        return None
    return None if row is None else bytes(row[0])


def _write(file: Path, key: str, output: bytes) -> None:
    try:
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(_open(file)) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, output))
    except (sqlite3.Error, OSError) as error:
        _LOG.warning("the cache %s cannot be written: %s; remove it", file, error)


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=5)
    try:
        connection.execute(_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection
