"""`stratum resume RUN`: go on with a run that was killed, failed or ran out of budget."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from stratum.cli.options import agent_option, journal_option, runtime_options
from stratum.cli.plan_session import resume_plan
from stratum.cli.progress import Progress
from stratum.cli.reading import find_run, read_plan_history, read_records
from stratum.cli.session import run_and_show
from stratum.cli.target import load_step
from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.budget import Budget
from stratum.contracts.records import RunStarted
from stratum.engine.flow import Flow
from stratum.engine.plans.approval.proposal import refuse_discarded
from stratum.engine.plans.plans import PLAN_TARGET
from stratum.engine.runtime import Runtime


@click.command("resume")
@click.argument("run")
@click.option("--flow", "target", help="Where the flow is now, as file.py:flow; default: where it was.")
@click.option("--usd", type=float, help="The run's new limit in USD, what it has spent included.")
@click.option("--tokens", type=int, help="The run's new limit in tokens, what it has used included.")
@click.option(
    "--ms", type=float, help="The run's new limit in milliseconds of running time, what it has used included."
)
@click.option(
    "--of", "scope", default="", metavar="STEP", help="Whose limit, as the error names it; default: the run's own."
)
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
    before = Progress()
    before.recall(run_id, records)
    raised = None if (usd, tokens, ms) == (None, None, None) else {scope: _limits(usd=usd, tokens=tokens, ms=ms)}
    if started.target == PLAN_TARGET:
        past = read_plan_history(journal, run_id)
        refuse_discarded(run_id, past)  # before anybody is asked to approve it
        run_and_show(
            ANY_JSON,
            lambda runtime: resume_plan(runtime, run_id, modules=past.modules, raised=raised, agent=agent),
            model=model,
            journal=journal,
            as_json=as_json,
            asks=True,
            progress=before,
        )
        return
    if not started.target:
        raise click.UsageError(f"{run_id} is of calls outside a flow, which are not gone on with; make them in a @flow")
    try:
        step = load_step(target or started.target)
    except click.UsageError as error:
        moved = "" if target else "; if the flow was moved, say where it is with --flow file.py:flow"
        raise click.UsageError(f"{error.message}{moved}") from error
    if not isinstance(step, Flow):
        raise click.UsageError(f"{started.target} is not a flow any more; name one with --flow")

    async def work(runtime: Runtime) -> Any:
        return await runtime.resume(step, run_id, raised=raised, by=getpass.getuser())

    run_and_show(step.signature.returns, work, model=model, journal=journal, as_json=as_json, progress=before)


def _limits(*, usd: float | None, tokens: int | None, ms: float | None) -> Budget:
    try:
        return Budget(usd=usd, tokens=tokens, ms=ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
