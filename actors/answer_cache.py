"""`AnswerCache`: accepted answers by key, in memory or in a file beside the journal; equal calls are made once.

A cache never fails a call: what cannot be read is not there, what cannot be written is not kept, and the log says so once.
Processes that share a file take turns with it; two that ask the same at the same moment both ask, and one answer is kept.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import trio

from stratum.contracts.errors import CircularWait

T = TypeVar("T")


class _Turn:
    """An answer that is being made."""

    __slots__ = ("done", "key", "waits_for")

    def __init__(self, key: str) -> None:
        self.key = key
        self.done = trio.Event()
        self.waits_for: list[_Turn] = []
        """By what is called inside it: conditions may make cached calls, too."""


MOST_IN_MEMORY: Final = 4096
_MOST_THREADS: Final = 4
_BUSY_S = 5.0
"""How long another process may have the file to itself."""
_TABLE: Final = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, output BLOB NOT NULL) WITHOUT ROWID"
_turns: ContextVar[tuple[_Turn, ...]] = ContextVar("stratum_answer_turns", default=())
"""Those around here."""
_LOG: Final = logging.getLogger("stratum")


class AnswerCache:
    """Used from one event loop; a file may be shared with other processes."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._kept: dict[str, bytes] = {}
        self._at_work: dict[str, _Turn] = {}
        # Of its own: threads abandoned elsewhere may have used up the shared one.
        self._threads = trio.CapacityLimiter(_MOST_THREADS)
        self._told: set[str] = set()

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncGenerator[bytes | None]:
        """What is kept under `key`; `None`: the caller makes it inside the block and `keep`s it, and equal ones wait.

        When the caller fails, the next one has its turn.

        Raises:
            CircularWait: the one who makes it waits, in the end, for this caller.
        """
        while (found := await self._read(key)) is None and (busy := self._at_work.get(key)) is not None:
            await _ended(busy)
        if found is not None:
            yield found
            return
        turn = self._at_work[key] = _Turn(key)
        token = _turns.set((*_turns.get(), turn))
        try:
            yield None
        finally:
            _turns.reset(token)
            del self._at_work[key]
            turn.done.set()

    def in_turn(self, key: str) -> bool:
        """Whether who asks is inside the turn of `key`, and would wait for itself."""
        return any(turn.key == key for turn in _turns.get())

    async def keep(self, key: str, output: bytes) -> None:
        """Keep an accepted answer; one that is kept already is replaced."""
        self.remember(key, output)
        if self._file is not None:
            await self._in_thread(partial(_write, self._file, key, output), otherwise=None, failing="written")

    def remember(self, key: str, output: bytes) -> None:
        """Keep it in memory alone."""
        if len(self._kept) >= MOST_IN_MEMORY:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = output

    async def _read(self, key: str) -> bytes | None:
        if key not in self._kept and self._file is not None:
            found = await self._in_thread(partial(_read, self._file, key), otherwise=None, failing="read")
            if found is not None and key not in self._kept:
                self.remember(key, found)
        return self._kept.get(key)

    async def _in_thread(self, work: Callable[[], T], *, otherwise: T, failing: str) -> T:
        """What `work` gives. A deadline does not wait for a file that another process has to itself."""
        try:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
        except (sqlite3.Error, OSError) as error:
            if failing not in self._told:
                self._told.add(failing)
                meanwhile = _MEANWHILE[failing]
                _LOG.warning(
                    "the cache %s cannot be %s: %s; until it can be, or is removed, %s",
                    self._file,
                    failing,
                    error,
                    meanwhile,
                )
            return otherwise


async def _ended(busy: _Turn) -> None:
    """Wait for it, unless it waits for a turn around here: by a condition that needs another's answer, which needs this one's."""
    around = _turns.get()
    if _leads_to(busy, around):
        raise CircularWait()
    for turn in around:
        turn.waits_for.append(busy)
    try:
        await busy.done.wait()
    finally:
        for turn in around:
            turn.waits_for.remove(busy)


def _leads_to(first: _Turn, turns: tuple[_Turn, ...]) -> bool:
    seen, left = set[_Turn](), [first]
    while left:
        turn = left.pop()
        if turn in turns:
            return True
        if turn not in seen:
            seen.add(turn)
            left += turn.waits_for
    return False


_MEANWHILE: Final = {"read": "what it has is asked for anew", "written": "answers are not kept"}


def _read(file: Path, key: str) -> bytes | None:
    if not file.exists():
        return None
    # Not read-only: what a killed process left half written is undone before it is read.
    uri = f"{file.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchone() is None:
            return None  # another process has just made it
        row = connection.execute(
            "SELECT output FROM answers WHERE key = ? AND typeof(output) = 'blob'", (key,)
        ).fetchone()
    return None if row is None else bytes(row[0])


def _write(file: Path, key: str, output: bytes) -> None:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)) as connection:
        # At once: a transaction that begins by reading is refused, instead of waiting, where another one writes.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, output))
        connection.execute("COMMIT")
