"""`stratum gate RUN STEP DECISION`: answer a plan's or a flow's question from another terminal."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any, cast

import click

from stratum.cli.options import journal_option
from stratum.cli.reading import find_run, post, read_plan_history
from stratum.contracts.messages import AnswerGate, AnswerReview


@click.command("gate")
@click.argument("run")
@click.argument("step")
@click.argument("decision")
@click.option("--comment", default="", help="What you want otherwise; it reaches whoever does the step again.")
@journal_option
def command(run: str, step: str, decision: str, *, comment: str, journal: Path) -> None:
    """Answer question STEP of RUN.

    A plan's gate takes `approve`, `revise` or `kill`; a flow's question one of its options, or a value of its type.
    """
    run = find_run(journal, run)
    history = read_plan_history(journal, run)
    asked = history.steps.get(step)
    if asked is not None and asked.gate is not None and asked.gate.question and asked.finished is None:
        post(journal, run, AnswerReview(by=getpass.getuser(), step=step, value=decision, rationale=comment))
        click.echo(f"{run}: {decision} sent to {step}")
        return
    known = history.by_id.get(step)
    if known is None or known.gate is None:
        raise click.UsageError(f"no gate {step!r} of {run} waits for an answer; `stratum status {run}` tells what does")
    if decision not in ("approve", "revise", "kill"):
        raise click.UsageError(f"{decision!r} is no decision of a gate; pass approve, revise or kill")
    post(journal, run, AnswerGate(by=getpass.getuser(), step=step, decision=cast(Any, decision), comment=comment))
    click.echo(f"{run}: {decision} sent to gate {step}")
