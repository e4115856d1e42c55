"""`stratum trace RUN -o trace.json`: a run's timeline for Perfetto and Chrome's tracing page."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from stratum.actors.journal_reader import Rows, open_reader
from stratum.cli.options import journal_option
from stratum.cli.output import write_output
from stratum.cli.reading import find_run
from stratum.engine.report.timeline import Bar, chrome_trace


@click.command("trace")
@click.argument("run", default="")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output.")
@journal_option
def command(run: str, *, output: Path | None, journal: Path) -> None:
    """Write RUN's timeline for https://ui.perfetto.dev.

    The file has Chrome trace events. Without RUN, it is the latest one.

    Steps that ran at once are on tracks of their own. Inputs and answers are not in it.
    """
    run = find_run(journal, run)
    with open_reader(journal) as reader:
        steps = reader.query(
            "SELECT step_id, function, started_at, duration_ms, model, outcome, cost_usd, attempts"
            " FROM traces WHERE run_id = ?",
            (run,),
        )
        attempts = reader.query(
            "SELECT step_id, attempt, ended_at, duration_ms, input_tokens, output_tokens, violations, cost_usd"
            " FROM attempts WHERE run_id = ?",
            (run,),
        )
        bars = _bars(steps, attempts)
    encoded = msgspec.json.encode(chrome_trace(run, bars))
    if output is None:
        click.echo(encoded)
        return
    write_output(output, encoded)


def _bars(steps: Rows, attempts: Rows) -> list[Bar]:
    bars = [
        Bar.starting(
            f"{function!s}",
            step=str(step),
            at=str(at),
            ms=ms,
            model=model,
            outcome=outcome,
            cost_usd=cost,
            attempts=number,
        )
        for step, function, at, ms, model, outcome, cost, number in steps.rows
    ]
    bars += [
        Bar.ending(
            f"attempt {number!s}",
            step=str(step),
            at=str(at),
            ms=ms,
            input_tokens=read,
            output_tokens=written,
            violations=rejected,
            cost_usd=cost,
        )
        for step, number, at, ms, read, written, rejected, cost in attempts.rows
    ]
    return bars
