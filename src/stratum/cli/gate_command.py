"""`stratum gate RUN STEP DECISION`: answer a plan's or a flow's question from another terminal."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from stratum.cli.options import journal_option
from stratum.cli.reading import find_run, read_records
from stratum.cli.writing import post
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.questions import open_questions


@click.command("gate")
@click.argument("run")
@click.argument("step")
@click.argument("decision")
@click.option("--comment", default="", help="What you want otherwise; it reaches whoever does the step again.")
@journal_option
def command(run: str, step: str, decision: str, *, comment: str, journal: Path) -> None:
    """Answer what STEP of RUN asks a person.

    A plan's gate takes `approve`, `revise` or `kill`; a flow's question one of its options, or a value of its type.
    """
    run = find_run(journal, run)
    questions = open_questions(PlanHistory(read_records(journal, run)))
    question = next((each for each in questions if each.step == step), None)
    if question is None:
        raise click.UsageError(f"no gate {step!r} of {run} waits for an answer; `stratum status {run}` tells what does")
    if question.of_plan and decision not in question.options:
        raise click.UsageError(f"{decision!r} is not offered; pass one of: {', '.join(question.options)}")
    post(journal, run, question.answered(decision, by=getpass.getuser(), comment=comment))
    click.echo(f"{run}: {decision} sent to {'gate ' if question.of_plan else ''}{step}")
