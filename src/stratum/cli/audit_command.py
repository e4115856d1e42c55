"""`stratum audit RUN`: what each step took, as people read it, or as data to commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from stratum.cli.options import journal_option
from stratum.cli.reading import find_listed, is_alive, read_records
from stratum.contracts.audit import audit_of, render_audit, traces_of
from stratum.contracts.doubts import Doubt, doubts_of, render_doubts
from stratum.contracts.money import usd

_UNFINISHED = ("failed", "exhausted", "cancelled", "interrupted")


@click.command("audit")
@click.argument("run", default="")
@click.option("--jsonl", is_flag=True, help="One TraceRecord a line: to commit, or for other tools.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: traces, and what is in_doubt.")
@journal_option
def command(run: str, *, jsonl: bool, as_json: bool, journal: Path) -> None:
    """Show what RUN did, what it cost, and what is in doubt.

    The first characters of an id are enough; without one, it is the latest run.
    """
    listed = find_listed(journal, run)
    run = listed.run
    records = read_records(journal, run)
    doubts = doubts_of(records, alive=is_alive(journal, run))
    traces = list(traces_of(records).values())
    if jsonl:
        for trace in traces:
            click.echo(msgspec.json.encode(trace))
    elif as_json:
        told = {"run": run, "traces": traces, "in_doubt": [_fields(doubt) for doubt in doubts]}
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
    else:
        lines, reruns = audit_of(records)
        click.echo(render_audit(lines, extra_retries=reruns))
        if listed.state in _UNFINISHED:
            # Its steps may all have passed, and the flow's own code raised.
            click.echo(": ".join(part for part in (f"Run {listed.state}", listed.error.partition("\n")[0]) if part))
    if not as_json:
        # Not among the lines that are committed as data.
        for line in render_doubts(run, doubts):
            click.echo(line, err=jsonl)


def _fields(doubt: Doubt) -> dict[str, Any]:
    return {**msgspec.structs.asdict(doubt), "usd": usd(doubt.picousd)}
