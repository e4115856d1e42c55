"""What does a record in the journal cost, appended without waiting and awaited by 50 producers?

The baseline, `sqlite3 alone`, inserts the same JSON into a plain table, 512 rows a transaction, synchronous=FULL, with neither hash
chain nor owner nor watermark. `journal` is ours in a file, `journal in memory` without one; `a commit each` is the obvious way
under trio: every record in a transaction of its own, on a worker thread. CPU is user and system time of all threads of this process.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import msgspec
import trio

from benchmarks.options import common_options, parser
from benchmarks.timing import compare, report
from stratum.actors.journal import open_journal
from stratum.contracts.records import Record, Reserved, RunStarted

BASELINE = "sqlite3 alone"
STARTED = RunStarted(session="s", name="bench")
PRODUCERS = 50
TRANSACTION = 512
INSERT = "INSERT INTO records (run, body) VALUES (?, ?)"

numbers = count()
encode = msgspec.json.Encoder().encode


def record(number: int) -> Record:
    return Reserved(
        reservation=f"r{number}", scope="1/2", call="3", attempt=1, model="gpt-4o", picousd=6_000_000_000, tokens=1500
    )


def plain_table(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / f"plain{next(numbers)}.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, run TEXT, body TEXT)")
    return connection


def sqlite_alone(folder: Path, *, records: int) -> None:
    with closing(plain_table(folder)) as connection:
        for first in range(0, records, TRANSACTION):
            rows = [("r", encode(record(number))) for number in range(first, min(first + TRANSACTION, records))]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, rows)
            connection.execute("COMMIT")


def append_only(path: Path | None, *, records: int) -> None:
    async def main() -> None:
        async with open_journal(path, session="s") as journal:
            journal.append("r", STARTED)
            for number in range(records):
                journal.append("r", record(number))
                await journal.room()

    trio.run(main)


def awaited(path: Path | None, *, records: int) -> None:
    async def main() -> None:
        async with open_journal(path, session="s") as journal:
            await journal.commit("r", STARTED)
            left = iter(range(records))

            async def produce() -> None:
                for number in left:
                    await journal.commit("r", record(number))

            async with trio.open_nursery() as nursery:
                for _ in range(PRODUCERS):
                    nursery.start_soon(produce)

    trio.run(main)


def a_commit_each(folder: Path, *, records: int) -> None:
    async def main() -> None:
        one_at_a_time = trio.CapacityLimiter(1)
        left = iter(range(records))

        async def produce() -> None:
            for number in left:
                row = ("r", encode(record(number)))
                await trio.to_thread.run_sync(connection.execute, INSERT, row, limiter=one_at_a_time)

        async with trio.open_nursery() as nursery:
            for _ in range(PRODUCERS):
                nursery.start_soon(produce)

    with closing(plain_table(folder)) as connection:
        trio.run(main)


def in_new_file(folder: Path, run: Callable[..., None], *, records: int) -> None:
    run(folder / f"journal{next(numbers)}" / "stratum.db", records=records)


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    appended, waited = (2_000, 500) if options.quick else (50_000, 5_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = compare(
            f"{appended:,} records appended without waiting",
            {
                BASELINE: partial(sqlite_alone, folder, records=appended),
                "journal": partial(in_new_file, folder, append_only, records=appended),
                "journal in memory": partial(append_only, None, records=appended),
            },
            baseline=BASELINE,
            units=appended,
            rounds=options.rounds,
        )
        rows += compare(
            f"{waited:,} records, each awaited, {PRODUCERS} producers",
            {
                BASELINE: partial(sqlite_alone, folder, records=waited),
                "journal": partial(in_new_file, folder, awaited, records=waited),
                "journal in memory": partial(awaited, None, records=waited),
                "a commit each": partial(a_commit_each, folder, records=waited),
            },
            baseline=BASELINE,
            units=waited,
            rounds=options.rounds,
        )
    report(__doc__ or "", rows, options, packages=["trio", "msgspec"], unit="record")


if __name__ == "__main__":
    main()
