"""`stratum audit RUN`: what each step took, as people read it, or as data to commit."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from stratum.cli.options import journal_option
from stratum.cli.reading import find_run, read_records
from stratum.contracts.audit import audit_of, render_audit, traces_of


@click.command("audit")
@click.argument("run", default="")
@click.option("--jsonl", is_flag=True, help="One TraceRecord a line: to commit, or for other tools.")
@click.option("--json", "as_json", is_flag=True, help="The TraceRecords as one JSON array.")
@journal_option
def command(run: str, *, jsonl: bool, as_json: bool, journal: Path) -> None:
    """What RUN did and what it cost; the latest run where none is named. The first characters of an id are enough."""
    records = read_records(journal, find_run(journal, run))
    traces = list(traces_of(records).values())
    if jsonl:
        for trace in traces:
            click.echo(msgspec.json.encode(trace))
    elif as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(traces), indent=2))
    else:
        lines, reruns = audit_of(records)
        click.echo(render_audit(lines, extra_retries=reruns))
