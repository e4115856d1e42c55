"""`ReadConnections`: to one journal, kept open between reads: opening one takes longer than most reads do."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stratum.actors.journal_file import open_read_only

_KEPT: Final = 2
"""Each holds files open."""


class ReadConnections:
    """Used from many threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Taking from a deque and appending to it are atomic.
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False

    @contextmanager
    def one(self) -> Generator[sqlite3.Connection]:
        """A connection that nobody else uses meanwhile. One with which something went wrong is not used again.

        Raises:
            sqlite3.Error: there is no database, or it cannot be read.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = open_read_only(self._path)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        self._close_all_but(0 if self._closed else _KEPT)

    def close(self) -> None:
        """Keep none any more; those in use are closed after it."""
        self._closed = True
        self._close_all_but(0)

    def _close_all_but(self, kept: int) -> None:
        while len(self._idle) > kept:
            try:
                self._idle.popleft().close()
            except IndexError:
                return  # another thread was faster
