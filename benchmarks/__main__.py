"""`python -m benchmarks [NAME ...] [--quick] [--json] [--plot FOLDER]`: all benchmarks, or those named, each in a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.options import add_common
from benchmarks.stopping import run_to_its_end

HERE = Path(__file__).resolve().parent
MISUSE = 2
"""The exit status of a program that was asked for what it does not have."""


def main() -> None:
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"What things cost. NAME is one of {', '.join(known)}; all of them by default. The options go to each; so does what only "
        "some of them take, after their names: `python -m benchmarks NAME --help` has it all.",
        add_help=False,  # of a benchmark that is named, its own
        allow_abbrev=False,
    )
    options.add_argument("names", nargs="*", metavar="NAME")
    add_common(options, rounds="how often each is measured (default: as often as it says)")
    asked, others = options.parse_known_args()
    if not asked.names and {"-h", "--help"} & set(others):
        options.print_help()
        return
    unknown = sorted(set(asked.names) - set(known))
    if unknown:
        hint = f" ({' '.join(others)}: what only some of them take comes after their names)" if others else ""
        options.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(known)}{hint}")
    if others and not asked.names:
        options.error(f"not every benchmark takes {' '.join(others)}: name those that do, before it")
    failed: list[str] = []
    for name in asked.names or known:
        command = [sys.executable, "-m", f"benchmarks.bench_{name}", *_common(asked), *others]
        status = run_to_its_end(command, folder=HERE.parent)
        if status == MISUSE:  # it has said so, and the others need not be run
            sys.exit(MISUSE)
        if status:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _common(asked: argparse.Namespace) -> list[str]:
    """The options that all have, as they were given."""
    return [
        *(["--quick"] if asked.quick else []),
        *(["--json"] if asked.as_json else []),
        # Where the caller is, rather than where they run.
        *(["--plot", str(asked.plot.resolve())] if asked.plot else []),
        *(["--rounds", str(asked.rounds)] if asked.rounds else []),
    ]


main()
