"""`prune_journal`: forget what old runs were given and what they answered; keep what they cost.

A pruned body is the record without what came from outside; the digest of the whole one stays beside it, so that the
chain holds. A pruned run cannot be resumed: what it would not call again is gone.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec

from stratum.actors.journal_failure import explained
from stratum.actors.journal_file import OpenFile, open_file, sessions_folder
from stratum.actors.journal_records import decoded
from stratum.actors.journal_store import transaction
from stratum.actors.session_lock import session_alive
from stratum.contracts.records import Answered, AttemptFinished, CallFinished, Record, RunFinished, RunStarted
from stratum.contracts.trace import Attempt
from stratum.contracts.violation import Violation

_FINISHED = "SELECT run, owner FROM _runs WHERE ended_at < ? AND NOT pruned ORDER BY ended_at"
_NOTHING = msgspec.Raw(b"null")


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What `prune_journal` made smaller."""

    runs: int
    records: int


def prune_journal(path: Path, *, ended_before: datetime) -> Pruned:
    """Remove inputs, outputs, answers and quoted details from runs that ended before that time.

    A transaction a run; whoever writes meanwhile waits no longer than that. The text is overwritten on disk, not only unlinked.

    Raises:
        JournalCorrupt: acknowledged records are missing.
        JournalUnavailable: it cannot be written.
    """
    pruned: dict[str, int] = {}
    alive = partial(session_alive, sessions_folder(path))
    with closing(open_file(path, f"prune-{os.getpid()}")) as file:
        try:
            file.connection.execute("PRAGMA secure_delete = ON")
            finished = file.connection.execute(_FINISHED, (int(ended_before.timestamp() * 1000),)).fetchall()
            for run, owner in finished:
                if owner is None or not alive(owner):
                    pruned[run] = _prune(file, run)
            # The log still holds the pages as they were.
            file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise explained(error, path=str(path)) from error
    return Pruned(runs=len(pruned), records=sum(pruned.values()))


def without_content(record: Record) -> Record:
    """The record without what came from outside: arguments, results, answers, quoted output."""
    match record:
        case RunStarted():
            return msgspec.structs.replace(record, inputs=msgspec.Raw(b"{}"))
        case RunFinished():
            return msgspec.structs.replace(record, output=_NOTHING, error="")
        case Answered():
            return msgspec.structs.replace(record, body="")
        case AttemptFinished():
            return msgspec.structs.replace(record, attempt=_bare_attempt(record.attempt))
        case CallFinished():
            details = [_bare_attempt(attempt) for attempt in record.trace.attempt_details]
            trace = msgspec.structs.replace(
                record.trace, inputs={}, output=None, retry_reasons=[], error="", attempt_details=details
            )
            return msgspec.structs.replace(record, output=_NOTHING, trace=trace)
        case _:
            return record


def _prune(file: OpenFile, run: str) -> int:
    """How many of the run's records became smaller."""
    smaller: list[tuple[bytes, bytes, int]] = []
    with file.watermark.locked(), transaction(file.connection):
        rows = file.connection.execute("SELECT seq, body FROM _records WHERE run = ? AND body_digest IS NULL", (run,))
        for seq, text in rows:
            record = decoded(text, file.connection, run=run)
            bare = without_content(record)
            if bare != record:
                smaller.append((msgspec.json.encode(bare), sha256(text.encode()).digest(), seq))
        file.connection.executemany(
            "UPDATE _records SET body = CAST(? AS TEXT), body_digest = ? WHERE seq = ?", smaller
        )
        file.connection.execute("UPDATE _runs SET pruned = 1, error = '' WHERE run = ?", (run,))
    return len(smaller)


def _bare_attempt(attempt: Attempt) -> Attempt:
    violations = tuple(Violation(kind=one.kind, condition=one.condition) for one in attempt.violations)
    return msgspec.structs.replace(attempt, violations=violations, error="")
