"""Records to fill journals with, and ways to damage the files."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from stratum import Runtime
from stratum.actors.journal import open_journal
from stratum.contracts.price import Usage
from stratum.contracts.records import (
    Answered,
    AttemptFinished,
    CallFinished,
    CallStarted,
    Diverged,
    Exhausted,
    Leaked,
    LeftInDoubt,
    LimitRaised,
    Reconciled,
    Record,
    Released,
    Reserved,
    RunFinished,
    RunResumed,
    RunStarted,
    ScopeOpened,
    Settled,
)
from stratum.contracts.trace import Attempt, TraceRecord
from stratum.contracts.violation import Violation

PAGE = 4096
"""Bytes of a page of SQLite's."""
STARTED = RunStarted(session="s", name="flow")
SUCCEEDED = RunFinished(state="succeeded", output=msgspec.Raw(b'{"text":"done"}'))


def released(number: int) -> Record:
    """A small record that can be told from others."""
    return Released(reservation=f"r{number}", reason="a test")


def number_of(record: Record) -> int:
    assert isinstance(record, Released)
    return int(record.reservation[1:])


def whole_run() -> list[Record]:
    """A run with every kind of record: one step that took two attempts, one that is in doubt, one never sent."""
    violation = Violation(kind="ensure", condition="r.confidence > 0.75", detail="actual: 0.42")
    usage = Usage(input_tokens=1000, cached_tokens=800, output_tokens=100, reasoning_tokens=20)
    rejected = Attempt(number=1, duration_ms=900, usage=usage, picousd=2_000_000_000, violations=(violation,))
    accepted = Attempt(number=2, duration_ms=700, usage=usage, picousd=1_000_000_000, new_input_bytes=80)
    return [
        RunStarted(
            session="s", name="triage", target="app:triage", inputs=msgspec.Raw(b'{"n":1}'), limits={"usd": 10**12}
        ),
        ScopeOpened(scope="", label="triage", limits={"usd": 10**12}, elapsed_ms=1),
        CallStarted(call="1", function="classify", type="infer", input_digest="0123456789ab", model="gpt-4o"),
        Reserved(
            reservation="a",
            scope="",
            call="1",
            attempt=1,
            model="gpt-4o",
            picousd=6_000_000_000,
            tokens=1500,
            elapsed_ms=2,
        ),
        Settled(reservation="a", picousd=2_000_000_000, tokens=1100, usage=usage),
        Answered(call="1", number=1, body='{"confidence": 0.42}'),
        AttemptFinished(call="1", attempt=rejected),
        Reserved(reservation="b", scope="", call="1", attempt=2, model="gpt-4o", picousd=6_000_000_000, tokens=1500),
        Settled(reservation="b", picousd=1_000_000_000, tokens=1100, usage=usage, estimated=True),
        AttemptFinished(call="1", attempt=accepted),
        CallFinished(call="1", outcome="ok", output=msgspec.Raw(b'{"confidence":0.9}'), trace=_trace("1", violation)),
        CallStarted(call="2", parent="1", function="reply", type="infer", input_digest="0123456789ab", model="gpt-4o"),
        Reserved(reservation="c", scope="1", call="2", attempt=1, model="gpt-4o", picousd=6_000_000_000, tokens=1500),
        LeftInDoubt(reservation="c", reason="connection reset"),
        Reserved(reservation="d", scope="1", call="2", attempt=1, model="gpt-4o", picousd=6_000_000_000, tokens=1500),
        Released(reservation="d", reason="status 429"),
        Reserved(reservation="e", scope="1", call="2", attempt=1, model="gpt-4o", picousd=6_000_000_000, tokens=1500),
        LeftInDoubt(reservation="e", reason="status 500"),
        Reconciled(reservation="e", picousd=500_000_000, tokens=700, by="the invoice"),
        Reserved(reservation="f", scope="1", call="2", attempt=1, model="gpt-4o", picousd=6_000_000_000, tokens=1500),
        LimitRaised(scope="", limits={"usd": 2 * 10**12}, by="somebody"),
        Exhausted(scope="1", resource="usd", requested=6_000_000_000),
        Diverged(calls=["3"], code_changed=True),
        Leaked(call="2", what="a thread"),
        RunResumed(session="s2"),
        RunFinished(state="failed", error="it broke", elapsed_ms=99),
    ]


def _trace(step: str, violation: Violation) -> TraceRecord:
    return TraceRecord(
        function="classify",
        model="gpt-4o",
        inputs={"text": "hello"},
        compiled_prompt_hash="abc123def456",
        contract_hash="def456abc123",
        attempts=2,
        output={"confidence": 0.9},
        duration_ms=1600,
        cost_usd=0.003,
        retry_reasons=[violation.for_trace],
        run_id="r",
        step_id=step,
        cost_picousd=3_000_000_000,
        input_tokens=2000,
        output_tokens=200,
        started_at="2026-11-20T12:00:00Z",
    )


async def traces(runtime: Runtime, name: str) -> list[TraceRecord]:
    """Of the latest run of that name."""
    run = next(run.run for run in await runtime.journal.runs() if run.name == name)
    return [record.trace for record in await runtime.journal.read(run) if isinstance(record, CallFinished)]


def edit(path: Path, script: str) -> None:
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(script)


def overwrite(path: Path, *, at: int, with_bytes: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(with_bytes)


def contents(folder: Path) -> dict[str, bytes]:
    """What the journal's files say; SQLite's index of the log, which readers share, and an empty log say nothing."""
    found = {path.name: path.read_bytes() for path in folder.glob("stratum.db*") if not path.name.endswith("-shm")}
    return {name: held for name, held in found.items() if held or not name.endswith("-wal")}


async def abandoned(tmp_path: Path, *, records: int = 400) -> Path:
    """A journal as a killed process leaves it: its last records are in the write-ahead log alone.

    Half of them are in the database itself, over several pages.
    """
    live = tmp_path / "live" / "stratum.db"
    for session, run in (("s1", "old"), ("s2", "new")):
        async with open_journal(live, session=session) as journal:
            await journal.commit(run, STARTED)
            for number in range(0, records // 2, 25):
                await journal.commit(run, *map(released, range(number, number + 25)))
            # A copy of an open journal is what a kill leaves; closing one empties the log.
            shutil.copytree(live.parent, tmp_path / session)
    return tmp_path / "s2" / "stratum.db"


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")
