"""Kill processes that write a journal, at random moments, and look at what they left."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path
from random import Random

from stratum.actors.journal_check import verify_journal
from stratum.actors.journal_file import holds_anything, open_read_only
from stratum.actors.journal_records import read_run
from stratum.contracts.records import Released
from tests.fakes.forks import Forks
from tests.fakes.journals import number_of

KILLS_PER_RUN = 5
NEVER = 10**9


def kill_repeatedly(process: Forks, path: Path, *, kills: int, seed: int, mutant: str | None = None) -> list[str]:
    """What was found wrong after any of `kills` kills; each run is resumed a few times before the next begins."""
    random = Random(seed)
    acknowledged: dict[str, set[int]] = {}
    for number in range(kills):
        run = f"run{number // KILLS_PER_RUN}"
        # Most are killed at work, some while they open the journal, some while they close it.
        after_acks = random.choice([0, 1, random.randrange(60)])
        limit = random.choice([NEVER, NEVER, 2 * after_acks])
        process.start("produce", mutant=mutant, path=str(path), session=f"s{number}", run=run, limit=limit)
        acks = _kill_after(process, acks=after_acks)
        acknowledged.setdefault(run, set()).update(acks)
        if wrong := _wrong(path, run, acknowledged[run]):
            return [f"kill {number}: {what}" for what in wrong]
    return [f"in the end: {fault}" for fault in verify_journal(path).faults]


def _kill_after(process: Forks, *, acks: int) -> list[int]:
    lines: list[str] = []
    while sum(line.startswith("ack ") for line in lines) < acks and not (lines and lines[-1].startswith("end ")):
        lines.append(process.line())
    if not (lines and lines[-1].startswith("end ")):
        process.kill()
        lines += process.rest()
    assert lines[-1] in ("end 0", f"end {-signal.SIGKILL}"), lines
    return [int(line.removeprefix("ack ")) for line in lines if line.startswith("ack ")]


def _wrong(path: Path, run: str, acknowledged: set[int]) -> list[str]:
    if not holds_anything(path):
        return [f"{len(acknowledged)} acknowledged, and no file"] if acknowledged else []
    with closing(open_read_only(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_runs'").fetchone():
            return [f"{len(acknowledged)} acknowledged, and no tables"] if acknowledged else []
        if not connection.execute("SELECT 1 FROM _runs WHERE run = ?", (run,)).fetchone():
            return [f"{len(acknowledged)} acknowledged, and no run"] if acknowledged else []
        numbers = [number_of(record) for record in read_run(connection, run) if isinstance(record, Released)]
    wrong = [f"{lost} was acknowledged and is lost" for lost in sorted(acknowledged - set(numbers))]
    if numbers != [number for first in numbers[::2] for number in (first, first + 1)]:
        wrong.append("half an append was committed")
    return wrong
