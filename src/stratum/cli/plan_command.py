"""`stratum plan check | show FILE`: a plan as data, checked as a whole and printed; nothing is run."""

from __future__ import annotations

from pathlib import Path

import click

from stratum.cli.target import load_module, steps_of
from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.plan_mermaid import render_mermaid
from stratum.contracts.plan_render import render_details, render_plan, render_table
from stratum.contracts.plan_text import load_plan
from stratum.engine.plans.functions import Functions

FORMS = {"plan": render_plan, "table": render_table, "details": render_details, "mermaid": render_mermaid}


@click.group("plan")
def command() -> None:
    """Check a plan, or print it: as what is approved, as a table, in full, or as a Mermaid graph."""


_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_steps = click.option(
    "--steps",
    "modules",
    multiple=True,
    metavar="PLACE",
    help="file.py or module whose steps the plan may name; repeat it.",
)


@command.command()
@_file
@_steps
def check(file: Path, *, modules: tuple[str, ...]) -> None:
    """Report everything that is wrong with FILE at once; exits with 2 if anything is."""
    compiled = _load(file, modules)
    click.echo(f"{len(compiled.plan.steps)} steps, digest {compiled.plan.digest}")


@command.command()
@_file
@_steps
@click.option("--as", "form", type=click.Choice(sorted(FORMS)), default="plan", show_default=True)
def show(file: Path, *, modules: tuple[str, ...], form: str) -> None:
    """Print FILE's plan; what is wrong with it instead, if anything is."""
    click.echo(FORMS[form](_load(file, modules)))


def _load(file: Path, modules: tuple[str, ...]) -> CompiledPlan:
    functions = Functions(step for place in modules for step in steps_of(load_module(place)))
    return load_plan(file.read_bytes(), functions.registry)
