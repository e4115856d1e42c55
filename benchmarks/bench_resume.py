"""How long does a run that was stopped take to come back to where it was, by its length?

The baseline, `read and decode`, selects the run's records from the journal's file and decodes their JSON: what has to be read in any case.
`resume` is the whole way back: the journal opened, the hash chain checked, the budgets restored, every step given its recorded result,
up to the first step that is new. The steps are computes that ran on the loop.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec
import trio

from benchmarks.options import common_options, parser
from benchmarks.timing import Row, compare, report
from stratum import Budget, compute, flow, open_runtime
from stratum.engine.providers.scripted import scripted

BASELINE = "read and decode"


class Stopped(Exception):
    """What ends a run before its last step."""


@compute(inline=True)
def square(number: int) -> int:
    return number * number


@flow(budget=Budget(ms=600_000, usd=1))
async def squares(count: int) -> int:
    total = 0
    for number in range(count):
        total += await square(number)
    raise Stopped


def made(path: Path, *, steps: int) -> str:
    """A run that stopped after so many steps; its id."""

    async def main() -> str:
        async with open_runtime(provider=scripted(), journal=path) as runtime:
            try:
                await squares(steps)
            except Stopped:
                pass
            return next(run.run for run in await runtime.journal.runs() if run.name == "squares")

    return trio.run(main)


def resumed(path: Path, run: str) -> None:
    async def main() -> None:
        async with open_runtime(provider=scripted(), journal=path) as runtime:
            try:
                await runtime.resume(squares, run)
            except Stopped:
                return

    trio.run(main)


def read(path: Path, run: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for (body,) in connection.execute("SELECT body FROM _records WHERE run = ? ORDER BY n", (run,)):
            msgspec.json.decode(body)


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for steps in (100,) if options.quick else (100, 1000, 10_000):
            path = Path(folder) / f"{steps}.db"
            run = made(path, steps=steps)
            contenders: dict[str, Callable[[], object]] = {
                BASELINE: partial(read, path, run),
                "stratum resume": partial(resumed, path, run),
            }
            rows += compare(f"{steps:,} steps done", contenders, baseline=BASELINE, units=steps, rounds=options.rounds)
    report(__doc__ or "", rows, options, packages=("msgspec", "trio"), unit="step")


if __name__ == "__main__":
    main()
