"""`stratum plan check | show FILE`: a plan as data, checked as a whole and printed; nothing is run."""

from __future__ import annotations

from pathlib import Path

import click

from stratum.cli.options import steps_option
from stratum.cli.plan_session import functions_in
from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.plan_mermaid import render_mermaid
from stratum.contracts.plan_render import render_details, render_plan, render_table
from stratum.contracts.plan_text import load_plan

FORMS = {"plan": render_plan, "table": render_table, "details": render_details, "mermaid": render_mermaid}


@click.group("plan")
def command() -> None:
    """Check a plan, or print it: as what is approved, as a table, in full, or as a Mermaid graph."""


_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@command.command()
@_file
@steps_option
def check(file: Path, *, modules: tuple[str, ...]) -> None:
    """Report everything that is wrong with FILE at once; exits with 2 if anything is."""
    compiled = _load(file, modules)
    click.echo(f"{len(compiled.plan.steps)} steps, digest {compiled.plan.digest}")


@command.command()
@_file
@steps_option
@click.option("--as", "form", type=click.Choice(sorted(FORMS)), default="plan", show_default=True)
def show(file: Path, *, modules: tuple[str, ...], form: str) -> None:
    """Print FILE's plan; what is wrong with it instead, if anything is."""
    click.echo(FORMS[form](_load(file, modules)))


def _load(file: Path, modules: tuple[str, ...]) -> CompiledPlan:
    return load_plan(file.read_bytes(), functions_in(modules).registry)
