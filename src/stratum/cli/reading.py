"""Reading the journal from the command line: nothing here writes, and a run may be going on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from stratum.actors.journal_file import open_anywhere, sessions_folder
from stratum.actors.journal_records import Run, list_runs, read_run
from stratum.actors.session_lock import session_alive
from stratum.contracts.errors import JournalUnavailable, UnknownRun
from stratum.contracts.records import Record

T = TypeVar("T")

LISTED = 10_000
"""Runs looked through for the one whose id begins as typed."""


def list_journal(journal: Path, *, limit: int) -> list[Run]:
    """The latest runs of flows, newest first.

    Raises:
        JournalError: there is no journal, or it cannot be read.
    """
    alive = partial(session_alive, sessions_folder(journal))
    return [run for run in _read(journal, lambda file: list_runs(file, alive=alive, limit=limit)) if run.target]


def find_run(journal: Path, typed: str) -> str:
    """The id of the run whose id begins as `typed`; the latest run for an empty text.

    Raises:
        UnknownRun: none does, or several do.
    """
    found = [run.run for run in list_journal(journal, limit=LISTED) if run.run.startswith(typed)]
    if not found:
        raise UnknownRun(run=typed or "(latest)")
    if typed and len(found) > 1:
        raise UnknownRun(
            run=typed, problem=f"{len(found)} runs begin so: {', '.join(found[:5])}", fix="type more of its id"
        )
    return found[0]


def read_records(journal: Path, run: str) -> list[Record]:
    """A run's records, in order, checked against their chain.

    Raises:
        UnknownRun, JournalCorrupt: it is not there, or not as it was written.
    """
    return _read(journal, lambda file: read_run(file, run))


def require_journal(journal: Path) -> None:
    """Raise `JournalUnavailable` where there is none: asking must not make one."""
    if not journal.exists():
        raise JournalUnavailable(
            path=str(journal), problem="no journal here yet", fix="run something first, or name one with --journal"
        )


def _read(journal: Path, read: Callable[[Connection], T]) -> T:
    require_journal(journal)
    connection, _ = open_anywhere(journal)
    with closing(connection):
        return read(connection)
