"""Questions to the journal in SQL, from people and agents: they can read everything, and do nothing else.

Four locks on one door: the file is opened for reading, the connection refuses writes, an authorizer refuses every kind of
statement but SELECT, and a query that runs away is stopped. What cannot be stopped is a single call of a single function;
the limit on the length of values keeps most of those short.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from stratum.actors.journal_failure import explained
from stratum.actors.journal_file import open_anywhere
from stratum.actors.journal_store import MAX_BODY_BYTES
from stratum.actors.journal_views import VIEWS
from stratum.contracts.errors import QueryFailed

MAX_STEPS = 250_000_000
"""Instructions of SQLite's virtual machine that one query may take: some seconds. Counted, not timed, so that whoever reads
the rows slowly is not cut off."""

_STEPS_BETWEEN_CHECKS = 100_000
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_ALLOWED_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list"})
_TABLE_FUNCTIONS = ("json_each('[]')", "json_tree('[]')", "pragma_table_info('runs')")
"""What a query may select from besides tables and views."""
_LIMITS = {
    # One value: twice the longest body. Without it, zeroblob(1e9) or a group_concat takes a gigabyte.
    sqlite3.SQLITE_LIMIT_LENGTH: 2 * MAX_BODY_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}

Value = str | int | float | bytes | None


class Rows(NamedTuple):
    """The answer to a query; the rows are read as they are taken."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Value, ...]]


class Reader:
    """A journal that can be asked, but not changed. Opened by `open_reader`; one query at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path, *, partial: bool, max_steps: int) -> None:
        self.partial = partial
        """The folder cannot be written, so that records still in the write-ahead log are not seen."""
        self._connection = connection
        self._path = str(path)
        self._max_checks = max_steps // _STEPS_BETWEEN_CHECKS
        self._checks = 0
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        for function in _TABLE_FUNCTIONS:
            # SQLite declares them at their first use, as if it were changing the schema: before that is forbidden.
            connection.execute(f"SELECT * FROM {function}")
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(self._check, _STEPS_BETWEEN_CHECKS)

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> Rows:
        """Ask one SELECT.

        Raises:
            QueryFailed: it would write, is not SQL, or names what does not exist. Taking rows raises it too:
                the query took too long.
        """
        self._checks = 0
        with self._translated():
            cursor = self._connection.execute(sql, parameters)
            if cursor.description is None:
                raise sqlite3.ProgrammingError("there is no SELECT")
        return Rows(tuple(column[0] for column in cursor.description), self._rows(cursor))

    def _rows(self, cursor: sqlite3.Cursor) -> Iterator[tuple[Value, ...]]:
        with self._translated():
            yield from cursor

    def _check(self) -> bool:
        self._checks += 1
        return self._checks > self._max_checks

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning) as error:
            problem, fix = _problem(error)
            raise QueryFailed(path=self._path, problem=problem, fix=fix) from error


@contextmanager
def open_reader(path: Path, *, max_steps: int = MAX_STEPS) -> Generator[Reader, None, None]:
    """The journal at `path`, for questions. Nothing is created, changed or locked; writers go on meanwhile.

    Raises:
        JournalError: there is no journal there, or it cannot be read.
    """
    try:
        connection, partial = open_anywhere(path)
    except sqlite3.Error as error:
        raise explained(error, path=str(path)) from error
    with closing(connection):
        yield Reader(connection, path, partial=partial, max_steps=max_steps)


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    allowed = (
        action in _ALLOWED
        or (action == sqlite3.SQLITE_FUNCTION and second != "load_extension")
        or (action == sqlite3.SQLITE_PRAGMA and first in _ALLOWED_PRAGMAS)
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _problem(error: sqlite3.Error | sqlite3.Warning) -> tuple[str, str]:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_INTERRUPT":
        return "the query took too long and was stopped", "narrow it: WHERE run_id = ..., or LIMIT"
    if name in ("SQLITE_AUTH", "SQLITE_READONLY"):
        return f"only SELECT is allowed ({error})", "the journal is written by runs alone"
    return f"{error}", f"the views are {', '.join(VIEWS)}; `SELECT * FROM` one shows its columns"
