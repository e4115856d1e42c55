"""Reading the journal from the command line: nothing here writes, and a run may be going on meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

import click

from stratum.actors.journal_failure import explained
from stratum.actors.journal_file import open_anywhere, sessions_folder
from stratum.actors.journal_records import Run, list_runs, read_run
from stratum.actors.journal_records import find_run as listed_run
from stratum.actors.journal_schema import refuse_newer
from stratum.actors.past_calls import PastCalls, RecentCalls
from stratum.actors.session_lock import session_alive
from stratum.contracts.errors import JournalUnavailable, UnknownRun
from stratum.contracts.records import Record
from stratum.engine.plans.plan_history import PlanHistory

T = TypeVar("T")

LISTED = 10_000
"""Runs looked through for the one whose id begins as typed."""


def list_journal(journal: Path, *, limit: int) -> list[Run]:
    """The latest runs, newest first: of flows, of plans, and of sessions for what was called outside of both.

    Raises:
        JournalError: there is no journal, or it cannot be read.
    """
    alive = partial(session_alive, sessions_folder(journal))
    return _read(journal, lambda file: list_runs(file, alive=alive, limit=limit, idle=False))


def find_run(journal: Path, typed: str) -> str:
    """The id of the run whose id begins as `typed`; the latest run for an empty text.

    Raises:
        UnknownRun: none does, or several do.
    """
    return find_listed(journal, typed).run


def find_listed(journal: Path, typed: str) -> Run:
    """The run itself, as the journal lists it. Raises as `find_run`."""
    found = [run for run in list_journal(journal, limit=LISTED) if run.run.startswith(typed)]
    if not found and not typed:
        raise UnknownRun(run="(latest)", problem="there is none yet", fix="run a flow, a step or a plan first")
    if not found:
        raise UnknownRun(run=typed)
    if typed and len(found) > 1:
        ids = ", ".join(run.run for run in found[:5])
        raise UnknownRun(run=typed, problem=f"{len(found)} runs begin so: {ids}", fix="type more of its id")
    return found[0]


def read_state(journal: Path, run: str) -> str:
    """The state of a run that was found, as `list_journal` has it."""
    alive = partial(session_alive, sessions_folder(journal))
    return _read(journal, lambda file: listed_run(file, run, alive=alive)).state


def is_alive(journal: Path, run: str) -> bool:
    """Whether a process is at work on a run that was found."""
    return read_state(journal, run) == "running"


def read_records(journal: Path, run: str) -> list[Record]:
    """A run's records, in order, checked against their chain.

    Raises:
        UnknownRun, JournalCorrupt: it is not there, or not as it was written.
    """
    return _read(journal, lambda file: read_run(file, run))


def read_plan_history(journal: Path, run: str) -> PlanHistory:
    """What the records of a plan's run say of it.

    Raises:
        click.UsageError: it is a flow's run.
    """
    past = PlanHistory(read_records(journal, run))
    if past.proposed is None:
        raise click.UsageError(f"{run} is not the run of a plan; see `stratum audit {run}`")
    return past


def read_past_calls(journal: Path) -> Mapping[tuple[str, str], PastCalls]:
    """What each function took in the project's last runs; nothing where nothing ran yet."""
    return _read(journal, RecentCalls().read) if journal.exists() else {}


def require_journal(journal: Path) -> None:
    """Raise `JournalUnavailable` where there is none: asking must not make one."""
    if not journal.exists():
        raise _absent(journal)


def _absent(journal: Path) -> JournalUnavailable:
    return JournalUnavailable(
        path=str(journal), problem="no journal here yet", fix="run something first, or name one with --journal"
    )


def _read(journal: Path, read: Callable[[Connection], T]) -> T:
    require_journal(journal)
    try:
        connection, _ = open_anywhere(journal)
    except sqlite3.Error as error:
        raise explained(error, path=str(journal)) from error
    with closing(connection):
        # A process that was killed before its first record leaves an empty file.
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_runs'").fetchone():
            raise _absent(journal)
        refuse_newer(connection, str(journal))
        return read(connection)
