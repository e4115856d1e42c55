"""`stratum status RUN`: where a plan's steps stand, whichever process runs it."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from stratum.cli.options import journal_option
from stratum.cli.plan_session import compiled_of, ruling_on
from stratum.cli.reading import find_run, read_plan_history, read_state
from stratum.contracts.money import format_usd
from stratum.contracts.plans.status import PlanStatus, Question, StepStatus
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.approval.auto_approval import Ruling
from stratum.engine.plans.plan_view import recorded_status
from stratum.engine.plans.questions import OpenQuestion, open_questions

ENDED = ("succeeded", "failed", "exhausted", "cancelled", "interrupted", "discarded")


@click.command("status")
@click.argument("run", default="")
@click.option("--watch", is_flag=True, help="Again whenever something changes, until the run has ended.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object a line.")
@journal_option
def command(run: str, *, watch: bool, as_json: bool, journal: Path) -> None:
    """Show where RUN's steps stand and who is waited for.

    Without RUN, it is the latest one.
    """
    run, shown = find_run(journal, run), ""
    while True:
        status = _status(journal, run)
        text = msgspec.json.encode(status).decode() if as_json else _rendered(status)
        if text != shown:
            click.echo(text)
            shown = text
        if not watch or status.state in ENDED:
            return
        time.sleep(0.5)


def _status(journal: Path, run: str) -> PlanStatus:
    past = read_plan_history(journal, run)
    compiled, functions = compiled_of(past)
    state, policy = read_state(journal, run), ""
    if state == "draft":
        approved = Approvals(Path.cwd()).find(past.digest) is not None
        ruling = Ruling() if approved else ruling_on(compiled, functions=functions, journal=journal)
        state, policy = "approved" if approved or ruling.approves else "draft", ruling.said
    status = recorded_status(run, compiled, past, state=state)  # type: ignore[arg-type]  # the journal's states are a plan's
    asked = [question for question in open_questions(past) if question.of_plan and state == "running"]
    return msgspec.structs.replace(status, questions=tuple(map(_question, asked)), policy=policy)


def _question(asked: OpenQuestion) -> Question:
    return Question(
        step=asked.step,
        question=asked.question,
        options=asked.options,  # type: ignore[arg-type]  # a plan's step offers no others
        round=asked.round,
        answer_by=asked.answer_by,
    )


def _rendered(status: PlanStatus) -> str:
    width = max(len(step.id) for step in status.steps)
    head = f"{status.run}  {status.state}  {format_usd(status.settled_picousd)} USD"
    doubt = f", {format_usd(status.in_doubt_picousd)} in doubt" if status.in_doubt_picousd else ""
    lines = [head + doubt, *(_line(step, width) for step in status.steps)]
    lines += [f"gate {question.step} asks: {question.question}" for question in status.questions]
    lines += [f"policy: {status.policy}"] if status.policy else []
    return "\n".join([*lines, *([status.error] if status.error else [])])


def _line(step: StepStatus, width: int) -> str:
    cost = "" if not step.picousd else f"  {format_usd(step.picousd)} USD"
    attempts = "" if step.attempts <= 1 else f"  {step.attempts} attempts"
    said = "".join(f"  {text}" for text in (step.error, *step.flags) if text)
    return f"  {step.id:<{width}}  {step.standing:<10}  {step.fn}{attempts}{cost}{said}"
