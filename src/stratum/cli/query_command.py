"""`stratum query SQL`: read-only SQL over the journal's views."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from stratum.cli.options import journal_option
from stratum.cli.reading import query


@click.command("query")
@click.argument("sql")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values with a header.")
@journal_option
def command(sql: str, *, as_json: bool, as_csv: bool, journal: Path) -> None:
    """Run one SELECT over the views runs, steps, attempts, traces, violations and reservations (docs/journal.md)."""
    columns, rows = query(journal, sql)
    if as_json:
        for row in rows:
            click.echo(msgspec.json.encode(dict(zip(columns, row, strict=True))))
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        _print_table(columns, rows)


def _print_table(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(markup=False).print(table)
