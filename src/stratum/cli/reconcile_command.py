"""`stratum reconcile RUN`: what became of calls whose answer never came."""

from __future__ import annotations

import getpass
from pathlib import Path

import click
import trio

from stratum.cli.options import journal_option
from stratum.cli.reading import find_run, is_alive, read_records
from stratum.cli.writing import open_own_session
from stratum.contracts.doubts import doubts_of
from stratum.contracts.money import format_usd, limit_picousd
from stratum.contracts.records import Reconciled


@click.command("reconcile")
@click.argument("run")
@click.argument("reservation", default="")
@click.option("--usd", type=float, help="What the provider's bill says it cost; 0 if it is not on the bill.")
@click.option("--tokens", type=int, default=0, show_default=True, help="The tokens it says, where tokens are limited.")
@journal_option
def command(run: str, reservation: str, *, usd: float | None, tokens: int, journal: Path) -> None:
    """List RUN's calls in doubt, or book what one really cost.

    With RESERVATION and --usd, what the provider's bill says is booked.

    A call that was sent and whose answer was lost stays counted at its worst case until somebody has looked at the bill.
    """
    run_id = find_run(journal, run)
    records = read_records(journal, run_id)
    doubts = {doubt.reservation: doubt for doubt in doubts_of(records, alive=is_alive(journal, run_id))}
    if not reservation and usd is None:
        for doubt in doubts.values():
            click.echo(str(doubt))
        click.echo(f"{len(doubts)} in doubt", err=True)
        return
    if reservation not in doubts or usd is None:
        if not doubts:
            raise click.UsageError(f"nothing of {run_id} is in doubt")
        raise click.UsageError(f"name one of: {', '.join(doubts)}; and say --usd")
    try:
        picousd = limit_picousd(usd)
    except ValueError as error:
        raise click.UsageError(f"--usd: {error}") from error
    trio.run(
        _reconcile,
        journal,
        run_id,
        Reconciled(
            elapsed_ms=records[-1].elapsed_ms,
            reservation=reservation,
            picousd=picousd,
            tokens=tokens,
            by=getpass.getuser(),
        ),
    )
    click.echo(f"{reservation}: {format_usd(picousd)} USD booked")


async def _reconcile(journal: Path, run: str, record: Reconciled) -> None:
    async with open_own_session(journal) as owned, owned.claimed(run):
        await owned.commit(run, record)
