"""`stratum run TARGET`: run a flow with inputs from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stratum.cli.dry_run import show_plan_quotes, show_step_quotes
from stratum.cli.options import agent_option, journal_option, runtime_options, steps_option
from stratum.cli.plan_session import functions_in, is_plan_file, refuse_agent_steps, run_plan
from stratum.cli.shown_run import ShownRun
from stratum.cli.target import load_step, read_file, read_inputs, read_values
from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.errors import ContractViolation
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.text import load_plan
from stratum.engine.plans.approval.proposal import checked_inputs


@click.command("run")
@click.argument("target")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input: name=value, name=@file, or @file.json for all.",
)
@steps_option
@agent_option
@click.option("--dry-run", is_flag=True, help="Only say what the calls of a model would reserve; needs no key.")
@click.option("--profile", is_flag=True, help="Say at the end where the time went.")
@runtime_options
@journal_option
def command(
    target: str,
    inputs: tuple[str, ...],
    modules: tuple[str, ...],
    *,
    agent: str | None,
    dry_run: bool,
    profile: bool,
    model: str | None,
    journal: Path,
    as_json: bool,
) -> None:
    """Run TARGET: file.py:flow, module:flow, or a plan's file.

    The result is printed as JSON on standard output, progress on standard error. A plan is shown first, and run only once it is
    approved.
    """
    shown = ShownRun(model=model, journal=journal, as_json=as_json, profile=profile)
    if is_plan_file(target):
        _run_plan(target, inputs, shown, modules=modules, agent=agent, dry_run=dry_run)
    else:
        _run_step(target, inputs, shown, dry_run=dry_run)


def _run_plan(
    file: str, inputs: Sequence[str], shown: ShownRun, *, modules: Sequence[str], agent: str | None, dry_run: bool
) -> None:
    functions = functions_in(modules)
    compiled = load_plan(read_file(Path(file)), functions.registry)
    values = _given(compiled, read_values(inputs, compiled.inputs or None, of=file))
    if dry_run:
        show_plan_quotes(compiled, values, functions=functions, model=shown.model, as_json=shown.as_json)
        return
    if agent is None:
        kinds = zip(compiled.plan.steps, compiled.kinds, strict=True)
        refuse_agent_steps([(step.id, step.fn) for step, kind in kinds if kind == "agent"])
    shown.run(
        ANY_JSON,
        lambda runtime: run_plan(runtime, compiled, values, functions=functions, modules=modules, agent=agent),
        asks=True,
    )


def _run_step(target: str, inputs: Sequence[str], shown: ShownRun, *, dry_run: bool) -> None:
    step = load_step(target)
    arguments = read_inputs(step.signature, inputs)
    if dry_run:
        show_step_quotes(step, arguments, model=shown.model, as_json=shown.as_json)
        return
    shown.run(step.signature.returns, lambda runtime: runtime.run(step, **arguments), calls_model=step.kind == "infer")


def _given(compiled: CompiledPlan, values: dict[str, Any]) -> dict[str, Any]:
    """What the plan takes, checked before anything is kept."""
    try:
        return checked_inputs(compiled, values)
    except ContractViolation as error:
        raise click.UsageError(str(error)) from error
