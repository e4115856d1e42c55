"""`python -m benchmarks [NAME ...] [--quick] [--json] [--plot FOLDER]`: all benchmarks, or those named, each in a process of its own."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"What things cost. NAME is one of {', '.join(known)}; what else is given goes to each of them: "
        "--quick, --json, --plot FOLDER, --rounds N. `python -m benchmarks NAME --help` has all that one takes.",
        add_help=False,  # of a benchmark that is named, its own
    )
    options.add_argument("names", nargs="*", metavar="NAME")
    asked, passed_on = options.parse_known_args()
    if not asked.names and {"-h", "--help"} & set(passed_on):
        options.print_help()
        return
    unknown = set(asked.names) - set(known)
    if unknown:
        options.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    failed = [name for name in asked.names or known if _run(name, passed_on)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _run(name: str, options: list[str]) -> int:
    command = [sys.executable, "-m", f"benchmarks.bench_{name}", *options]
    return subprocess.run(command, cwd=HERE.parent, check=False).returncode


main()
