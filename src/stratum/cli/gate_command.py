"""`stratum gate RUN STEP DECISION`: answer a plan's question from another terminal."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import click

from stratum.cli.options import journal_option
from stratum.cli.reading import find_run, post, read_plan_history
from stratum.contracts.messages import AnswerGate


@click.command("gate")
@click.argument("run")
@click.argument("step")
@click.argument("decision", type=click.Choice(["approve", "revise", "kill"]))
@click.option("--comment", default="", help="What you want otherwise; it reaches whoever does the step again.")
@journal_option
def command(run: str, step: str, decision: Any, *, comment: str, journal: Path) -> None:
    """Answer gate STEP of RUN: approve it, have earlier work revised, or kill the run."""
    run = find_run(journal, run)
    known = read_plan_history(journal, run).by_id.get(step)
    if known is None or known.gate is None:
        raise click.UsageError(f"no gate {step!r} of {run} waits for an answer; `stratum status {run}` tells what does")
    post(journal, run, AnswerGate(by=getpass.getuser(), step=step, decision=decision, comment=comment))
    click.echo(f"{run}: {decision} sent to gate {step}")
