"""`stratum resume RUN`: go on with a run that was killed, failed or ran out of budget."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from stratum.cli.options import agent_option, journal_option, limit_options, new_limits, runtime_options
from stratum.cli.plan_session import resume_plan
from stratum.cli.progress import Progress
from stratum.cli.reading import find_run, read_records
from stratum.cli.shown_run import ShownRun
from stratum.cli.target import load_step
from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.records import RunStarted
from stratum.engine.flow import Flow
from stratum.engine.plans.approval.proposal import refuse_discarded
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.plans import PLAN_TARGET


@click.command("resume")
@click.argument("run")
@click.option("--flow", "target", help="Where the flow is now, as file.py:flow; default: where it was.")
@limit_options
@agent_option
@runtime_options
@journal_option
def command(
    run: str,
    *,
    target: str | None,
    usd: float | None,
    tokens: int | None,
    ms: float | None,
    scope: str,
    agent: str | None,
    model: str | None,
    journal: Path,
    as_json: bool,
) -> None:
    """Continue RUN; what is done is not done again.

    Its budget goes on counting where it stopped. A new limit is recorded as your approval. The first characters of an id are enough.
    """
    run_id = find_run(journal, run)
    records = read_records(journal, run_id)
    started = next(record for record in records if isinstance(record, RunStarted))
    progress = Progress()
    progress.recall(run_id, records)
    shown = ShownRun(model=model, journal=journal, as_json=as_json, progress=progress)
    raised = None if (usd, tokens, ms) == (None, None, None) else {scope: new_limits(usd=usd, tokens=tokens, ms=ms)}
    if started.target == PLAN_TARGET:
        past = PlanHistory(records)
        refuse_discarded(run_id, past)  # before anybody is asked to approve it
        shown.run(
            ANY_JSON,
            lambda runtime: resume_plan(runtime, run_id, modules=past.modules, raised=raised, agent=agent),
            asks=True,
        )
    elif started.target:
        flow = _flow(target, started.target)
        shown.run(
            flow.signature.returns, lambda runtime: runtime.resume(flow, run_id, raised=raised, by=getpass.getuser())
        )
    else:
        raise click.UsageError(f"{run_id} is of calls outside a flow, which are not gone on with; make them in a @flow")


def _flow(now: str | None, recorded: str) -> Flow[..., Any]:
    """Where it is now, else where it was."""
    try:
        step = load_step(now or recorded)
    except click.UsageError as error:
        moved = "" if now else "; if the flow was moved, say where it is with --flow file.py:flow"
        raise click.UsageError(f"{error.message}{moved}") from error
    if not isinstance(step, Flow):
        raise click.UsageError(f"{recorded} is not a flow any more; name one with --flow")
    return step
