"""`stratum query SQL`: read-only SQL over the journal's views."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click
import msgspec

from stratum.actors.journal_reader import Rows, open_reader
from stratum.cli.options import journal_option
from stratum.cli.reading import require_journal


@click.command("query")
@click.argument("sql")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values with a header.")
@journal_option
def command(sql: str, *, as_json: bool, as_csv: bool, journal: Path) -> None:
    """Run one SELECT over the journal's views.

    They are runs, steps, attempts, reservations, traces, violations and records; `SELECT * FROM` one shows its columns.
    """
    if as_json and as_csv:
        raise click.UsageError("pass --json or --csv")
    require_journal(journal)
    with open_reader(journal) as reader:
        if reader.partial:
            click.echo("this folder cannot be written: records still in the journal's log are not seen", err=True)
        answer = reader.query(sql)
        if as_json:
            for row in answer.rows:
                click.echo(msgspec.json.encode(dict(zip(answer.columns, row, strict=True))))
        elif as_csv:
            writer = csv.writer(sys.stdout)
            writer.writerow(answer.columns)
            writer.writerows(answer.rows)
        else:
            _print_table(answer)


def _print_table(answer: Rows) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*answer.columns, box=None, header_style="bold")
    for row in answer.rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(markup=False).print(table)
