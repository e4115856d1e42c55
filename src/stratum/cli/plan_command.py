"""`stratum plan check | show | diff | edit | discard`: a plan as data, checked as a whole, printed, compared, changed; nothing is run."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import click
import trio

from stratum.actors.page_address import page_of
from stratum.cli.exit_codes import FAILED
from stratum.cli.options import journal_option, steps_option
from stratum.cli.plan_session import compiled_of, functions_in, ruling_on
from stratum.cli.reading import find_run, read_past_calls, read_plan_history
from stratum.cli.writing import open_own_session
from stratum.contracts.errors import ContractDefinitionError, PlanError, ProviderError
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.diff import plan_changes
from stratum.contracts.plans.mermaid import render_mermaid
from stratum.contracts.plans.render import (
    budget_line,
    given_inputs,
    render_details,
    render_plan,
    render_table,
    step_name,
)
from stratum.contracts.plans.text import load_plan, to_yaml
from stratum.contracts.problem import did_you_mean
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.approval.beforehand import Beforehand
from stratum.engine.plans.approval.proposal import approval_digest, discard_draft, refuse_revision, revise_draft
from stratum.engine.plans.functions import Functions
from stratum.engine.settings import SettingsError

FORMS = {"plan": render_plan, "table": render_table, "details": render_details, "mermaid": render_mermaid}

_TOLD = 10
"""Steps that are left to an agent, at most, that are told of one by one."""


@click.group("plan")
def command() -> None:
    """Check, print, compare, edit or discard plans.

    A plan is named by its file or its run; one that has begun can no longer be edited or discarded.
    """


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@steps_option
@journal_option
def check(file: Path, *, modules: tuple[str, ...], journal: Path) -> None:
    """Report everything that is wrong with FILE.

    Exits with 2 if anything is."""
    named = _named(str(file), modules, journal)
    plan = _estimated(named, journal).plan
    steps = f"{len(plan.steps)} {'step' if len(plan.steps) == 1 else 'steps'}"
    # The digest comes last, where scripts look for it.
    told = [steps, budget_line(plan.estimate, plan.budget), f"digest {plan.digest}"]
    click.echo(", ".join(part for part in told if part))
    _tell_agents_steps(named.compiled, named.functions)
    _tell_policy(named.compiled, named.functions, journal)


@command.command()
@click.argument("plan")
@steps_option
@click.option("--as", "form", type=click.Choice(sorted(FORMS)), default="plan", show_default=True)
@journal_option
def show(plan: str, *, modules: tuple[str, ...], form: str, journal: Path) -> None:
    """Print PLAN, a file or a run.

    If anything is wrong with it, that is printed instead."""
    named = _named(plan, modules, journal)
    click.echo(FORMS[form](_estimated(named, journal)))
    if named.inputs and form == "details":
        click.echo("\n".join(["", *given_inputs(named.inputs)]))
        click.echo(f"digest of all this: {approval_digest(named.compiled.digest, named.inputs)}")
    if named.discarded:
        click.echo(named.discarded, err=True)
    elif not named.begun:
        _tell_policy(named.compiled, named.functions, journal)


@command.command()
@click.argument("old")
@click.argument("new")
@steps_option
@journal_option
def diff(old: str, new: str, *, modules: tuple[str, ...], journal: Path) -> None:
    """Show what changed from plan OLD to NEW.

    Each is a file or a run. Exits with 1 if anything changed."""
    changes = plan_changes(_named(old, modules, journal).compiled.plan, _named(new, modules, journal).compiled.plan)
    for change in changes:
        click.echo(change)
    if changes:
        sys.exit(FAILED)


@command.command()
@click.argument("run")
@journal_option
def edit(run: str, *, journal: Path) -> None:
    """Edit RUN's plan in $EDITOR before it has begun.

    What you save replaces the plan, and has to be approved again. If it is not valid, it opens again with what is wrong.
    """
    run = find_run(journal, run)
    past = read_plan_history(journal, run)
    refuse_revision(run, past)  # before anybody has typed anything
    functions, text = functions_in(past.modules), to_yaml(past.plan)
    while True:
        edited = click.edit(text, extension=".yaml")
        if edited is None or edited == text:
            click.echo(f"{run}: left as it was")
            return
        try:
            compiled = load_plan(edited, functions.registry)
        except PlanError as error:
            click.echo(f"{error}", err=True)
            if not click.confirm("edit it again?", default=True, err=True):
                click.echo(f"{run}: left as it was")
                return
            text = edited
            continue
        break
    trio.run(_replace, journal, run, Beforehand(functions, read_past_calls(journal)).estimated(compiled))
    for change in plan_changes(past.plan, compiled.plan):
        click.echo(change)
    click.echo(f"{run}: to be approved with `stratum approve {run}`, or on {page_of(journal, run=run)}")


@command.command()
@click.argument("run")
@click.option("--because", default="", help="Why, for the record.")
@journal_option
def discard(run: str, *, because: str, journal: Path) -> None:
    """Discard RUN's plan, which has not begun.

    It stays in the journal, and can no longer be edited, approved or started. An approval that it had is taken back.
    """
    run = find_run(journal, run)
    read_plan_history(journal, run)  # a flow's run is told as that
    revoked = trio.run(_discard, journal, run, because)
    click.echo(f"{run}: discarded{'; its approval is taken back' if revoked else ''}")


async def _discard(journal: Path, run: str, because: str) -> bool:
    async with open_own_session(journal) as here:
        return await discard_draft(here, run, approvals=Approvals(Path.cwd()), by=getpass.getuser(), because=because)


async def _replace(journal: Path, run: str, compiled: CompiledPlan) -> None:
    async with open_own_session(journal) as here:
        await revise_draft(here, run, compiled, by=getpass.getuser())


class _Named(NamedTuple):
    compiled: CompiledPlan
    functions: Functions
    inputs: Mapping[str, Any]
    of_file: bool = False
    begun: bool = False
    discarded: str = ""


def _named(plan: str, modules: tuple[str, ...], journal: Path) -> _Named:
    """A plan by its file, or by its run in the journal."""
    file = Path(plan)
    if file.is_file():
        functions = functions_in(modules)
        return _Named(load_plan(file.read_bytes(), functions.registry), functions, {}, of_file=True)
    if file.suffix:
        raise click.UsageError(f"no file {plan}")
    past = read_plan_history(journal, find_run(journal, plan))
    compiled, functions = compiled_of(past, modules)
    return _Named(compiled, functions, past.inputs, begun=past.begun, discarded=past.discarded)


def _estimated(named: _Named, journal: Path) -> CompiledPlan:
    """With the estimate that a plan gets when it is proposed; without, where the settings are not understood."""
    # One that a file claims counts for nothing: proposed, the plan is estimated anew.
    if named.of_file or named.compiled.plan.estimate is None:
        with suppress(SettingsError, ProviderError, ContractDefinitionError):
            return Beforehand(named.functions, read_past_calls(journal)).estimated(named.compiled)
    return named.compiled


def _tell_agents_steps(compiled: CompiledPlan, functions: Functions) -> None:
    """Which steps nobody but an agent can do: the name of a function may be mistyped, or its file forgotten."""
    known = functions.registry.functions
    left = [step for step, kind in zip(compiled.plan.steps, compiled.kinds, strict=True) if kind == "agent"]
    for step in left[:_TOLD]:
        meant = did_you_mean(step.fn, known, otherwise="") if step.fn else ""
        near = f"; {meant}" if meant.startswith("did you mean") else ""  # and no list of all where nothing is near
        click.echo(f"step {step.id}, {step_name(step)}, is left to an agent{near}", err=True)
    if left[_TOLD:]:
        click.echo(f"and {len(left) - _TOLD} more", err=True)


def _tell_policy(compiled: CompiledPlan, functions: Functions, journal: Path) -> None:
    """Beside the result, which may be for another program."""
    if said := ruling_on(compiled, functions=functions, journal=journal).said:
        click.echo(f"policy: {said}", err=True)
