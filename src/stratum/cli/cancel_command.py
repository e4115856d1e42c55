"""`stratum cancel RUN`: stop a plan's run, whichever process runs it."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from stratum.cli.options import journal_option
from stratum.cli.reading import find_run, post
from stratum.contracts.messages import CancelRun


@click.command("cancel")
@click.argument("run")
@click.option("--because", default="", help="Why, for the record.")
@journal_option
def command(run: str, *, because: str, journal: Path) -> None:
    """Ask the process that runs RUN to stop it. What is done stays done; `stratum resume` goes on."""
    run = find_run(journal, run)
    post(journal, run, CancelRun(by=getpass.getuser(), reason=because))
    click.echo(f"{run}: asked to stop")
