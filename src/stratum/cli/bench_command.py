"""`stratum bench`: what things cost on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click


@click.command("bench", context_settings={"ignore_unknown_options": True})
@click.argument(
    "arguments", nargs=-1, type=click.UNPROCESSED, metavar="[NAME ...] [--quick] [--json] [--plot FOLDER] [--rounds N]"
)
def command(arguments: tuple[str, ...]) -> None:
    """Run all benchmarks, or those named.

    They come with the repository: run this at its top.

    What a call, a step, a record, a retry and a resume cost, beside what one would use instead, and beside other frameworks once `make
    bench-peers` has installed them. `python -m benchmarks NAME --help` has all that one takes.
    """
    if not Path("benchmarks/__main__.py").is_file():
        raise click.UsageError("there are no benchmarks here: run it at the top of a checkout of the repository")
    # Not `subprocess.run`, which at Ctrl-C kills what it waits for: that has servers to stop.
    with subprocess.Popen([sys.executable, "-m", "benchmarks", *arguments]) as benchmarks:
        click.get_current_context().exit(benchmarks.wait())
