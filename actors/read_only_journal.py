"""`ReadOnlyJournal`: a journal's runs and records, for whoever can read while nobody can write, as on a full disk.

Above: the MCP bridge, whose runtime ends with the first record that finds no room. Below: connections that cannot write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from stratum.actors.journal_failure import explained
from stratum.actors.journal_file import open_read_only, sessions_folder
from stratum.actors.journal_records import Run, find_run, list_runs, read_run
from stratum.actors.session_lock import session_alive
from stratum.contracts.records import Record

T = TypeVar("T")


class ReadOnlyJournal:
    """Asked as a `Journal` is. Once it was read it holds the file open, until `close`.

    With the last who does, SQLite's index of the file goes, and on a full disk no other can be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: sqlite3.Connection | None = None
        self._one_reads = trio.CapacityLimiter(1)
        self._alive = partial(session_alive, sessions_folder(path))

    async def runs(self, *, limit: int = 100) -> list[Run]:
        """The last `limit` runs, newest first. Raises `JournalUnavailable`, as all here, where not even reading works."""
        return await self._read(lambda connection: list_runs(connection, alive=self._alive, limit=limit))

    async def read(self, run: str) -> list[Record]:
        """The run's records, in order. Raises as `Journal.read`."""
        return await self._read(lambda connection: read_run(connection, run))

    async def state(self, run: str) -> str:
        """As `runs` lists it. Raises `UnknownRun`."""
        return (await self._read(lambda connection: find_run(connection, run, alive=self._alive))).state

    def close(self) -> None:
        """Let go of the file."""
        if self._held is not None:
            self._held.close()
            self._held = None

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await trio.to_thread.run_sync(self._work, work, limiter=self._one_reads)

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._held is None:
                self._held = open_read_only(self._path)
            return work(self._held)
        except sqlite3.Error as error:
            self.close()
            raise explained(error, path=str(self._path)) from error
