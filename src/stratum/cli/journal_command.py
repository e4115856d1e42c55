"""`stratum journal verify | export | accept | prune`: what to do when a journal may be damaged, or knows too much."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import click

from stratum.actors.journal_check import accept_journal, verify_journal
from stratum.actors.journal_export import export_journal
from stratum.actors.journal_prune import prune_journal
from stratum.cli.exit_codes import JOURNAL
from stratum.cli.options import journal_option
from stratum.cli.reading import require_journal


@click.group("journal")
def command() -> None:
    """Check, export, restore or shrink the journal's file."""


@command.command()
@journal_option
def verify(*, journal: Path) -> None:
    """Read and check every record; changes nothing."""
    require_journal(journal)
    verdict = verify_journal(journal)
    for fault in verdict.faults:
        click.echo(fault, err=True)
    click.echo(f"{verdict.records} records of {verdict.runs} runs, {len(verdict.faults)} faults")
    if verdict.faults:
        sys.exit(JOURNAL)


@command.command()
@click.option("-o", "--output", type=click.File("wb"), default="-", help="A file; default: standard output.")
@journal_option
def export(*, output: BinaryIO, journal: Path) -> None:
    """Write every readable record as JSON Lines.

    Also from a damaged file.
    """
    require_journal(journal)
    exported = export_journal(journal, output)
    click.echo(f"{exported.records} records of {exported.runs} runs", err=True)
    for run, number in exported.broken.items():
        click.echo(f"run {run}: record {number} is missing or altered; later ones are marked", err=True)


@command.command()
@journal_option
def accept(*, journal: Path) -> None:
    """Take what the file holds now as complete.

    For when you have restored a backup, or looked at a loss.
    """
    accepted = accept_journal(journal)
    click.echo(
        f"accepted: the last record is {accepted.now}" + (f", it was {accepted.before}" if accepted.before else "")
    )


@command.command()
@click.option("--days", type=click.IntRange(min=0), required=True, help="Runs that ended longer ago than this.")
@journal_option
def prune(*, days: int, journal: Path) -> None:
    """Delete inputs, results and answers of old runs.

    What they cost stays; they can no longer be resumed.
    """
    require_journal(journal)
    pruned = prune_journal(journal, ended_before=datetime.now(tz=UTC) - timedelta(days=days))
    click.echo(f"{pruned.runs} runs pruned, {pruned.records} records made smaller")
