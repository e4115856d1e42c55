"""`stratum report RUN -o run.html`: a run as one page to read, send and keep."""

from __future__ import annotations

from pathlib import Path

import click

from stratum.cli.options import journal_option
from stratum.cli.output import write_output
from stratum.cli.plan_session import compiled_of
from stratum.cli.reading import find_run, is_alive, read_records
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.report.facts import facts_of
from stratum.engine.report.page import report_page


@click.command("report")
@click.argument("run", default="")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: RUN.html.")
@journal_option
def command(run: str, *, output: Path | None, journal: Path) -> None:
    """Write RUN as one self-contained HTML page.

    It has the plan, the timeline, costs, and every attempt with why it was rejected.

    The latest run where none is named. Opaque inputs are redacted in it, as they are in the audit.
    """
    run = find_run(journal, run)
    records = read_records(journal, run)
    past = PlanHistory(records)
    before: dict[str, tuple[str, ...]] = {}
    if past.proposed is not None:
        compiled, _ = compiled_of(past)
        ids = [step.id for step in compiled.plan.steps]
        before = {
            id: tuple(ids[other] for other in others) for id, others in zip(ids, compiled.dependencies, strict=True)
        }
    page = report_page(facts_of(run, records, before=before, alive=is_alive(journal, run)))
    write_output(output or Path(f"{run}.html"), page.encode())
