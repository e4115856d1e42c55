"""`stratum runs`: what is in the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from stratum.cli.options import journal_option
from stratum.cli.reading import list_journal


@click.command("runs")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The latest so many.")
@journal_option
def command(*, limit: int, journal: Path) -> None:
    """List the latest runs: id, state, start, name."""
    runs = list_journal(journal, limit=limit)
    if not runs:
        click.echo(f"no runs in {journal} yet", err=True)
    for run in runs:
        started_at = datetime.fromtimestamp(run.started_at / 1000, UTC).isoformat(timespec="seconds")
        click.echo(f"{run.run}  {run.state:<10}  {started_at}  {run.title}")
