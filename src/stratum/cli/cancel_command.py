"""`stratum cancel RUN`: stop a run of a flow or of a plan, or all that the project has, whichever processes run them."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from stratum.cli.options import journal_option
from stratum.cli.reading import find_listed
from stratum.cli.writing import post, post_to_all
from stratum.contracts.messages import CancelRun


@click.command("cancel")
@click.argument("run", required=False)
@click.option(
    "--all", "every", is_flag=True, help="All runs that are going on, of every process that uses this journal."
)
@click.option("--because", default="", help="Why, for the record.")
@journal_option
def command(run: str | None, *, every: bool, because: str, journal: Path) -> None:
    """Stop RUN, in whichever process it runs.

    What is done stays done; `stratum resume` continues it.
    """
    if (run is None) != every:
        raise click.UsageError("name one run, or pass --all")
    asked = CancelRun(by=getpass.getuser(), reason=because)
    if run is None:
        stopping = post_to_all(journal, asked)
        for each in stopping:
            click.echo(f"{each.run}: asked to stop {each.name}")
        click.echo(f"{len(stopping)} asked to stop; `stratum runs` shows when they have", err=True)
    else:
        found = find_listed(journal, run)
        if found.state != "running":
            draft = f"; `stratum plan discard {found.run}` discards it" if found.state == "draft" else ""
            raise click.UsageError(f"{found.run} is not at work ({found.state}){draft}")
        if not found.target:
            raise click.UsageError(f"{found.run} is of calls outside a flow: stop the process that makes them")
        post(journal, found.run, asked)
        click.echo(f"{found.run}: asked to stop")
