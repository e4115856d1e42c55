"""`stratum hold REASON`: stop all that the project has running, and let nothing start, in whichever process, until it is lifted."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from stratum.actors.hold import Hold, hold_path, lift_hold, place_hold, read_hold
from stratum.cli.options import journal_option
from stratum.cli.writing import post_to_all
from stratum.contracts.messages import CancelRun


@click.command("hold")
@click.argument("reason", required=False)
@click.option("--lift", is_flag=True, help="Let things start again.")
@journal_option
def command(reason: str | None, *, lift: bool, journal: Path) -> None:
    """Stop every run, and let nothing start until it is lifted.

    Without a REASON, it shows whether there is a hold.
    """
    if lift and reason is not None:
        raise click.UsageError("a hold is lifted without a reason: pass one of them")
    if lift:
        lifted = lift_hold(journal)
        click.echo("there was no hold" if lifted is None else f"lifted; {_told(lifted)}")
    elif reason is None:
        held = read_hold(hold_path(journal))
        click.echo("no hold" if held is None else _told(held))
    elif not reason.strip():
        raise click.UsageError("say why: whoever is refused reads it")
    else:
        _hold(journal, reason)


def _hold(journal: Path, reason: str) -> None:
    by = getpass.getuser()
    # First: what starts while the others are being asked to stop must find it.
    place_hold(journal, Hold.now(by=by, reason=reason))
    stopping = post_to_all(journal, CancelRun(by=by, reason=f"on hold: {reason}")) if journal.exists() else []
    for each in stopping:
        click.echo(f"{each.run}: asked to stop {each.name}")
    click.echo(f"on hold; {len(stopping)} asked to stop; `stratum hold --lift` lifts it", err=True)


def _told(hold: Hold) -> str:
    return f"on hold since {hold.since}, by {hold.by}: {hold.reason}"
