"""`stratum run TARGET`: run a flow with inputs from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stratum.cli.options import journal_option, runtime_options
from stratum.cli.session import run_and_show
from stratum.cli.target import load_step, read_inputs
from stratum.engine.runtime import Runtime


@click.command("run")
@click.argument("target")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input: name=value, name=@file, or @file.json for all.",
)
@runtime_options
@journal_option
def command(target: str, inputs: tuple[str, ...], *, model: str | None, journal: Path, as_json: bool) -> None:
    """Run TARGET, a flow or step given as file.py:flow or module:flow.

    The result is printed as JSON on standard output, progress on standard error.
    """
    step = load_step(target)
    arguments = read_inputs(step.signature, inputs)

    async def work(runtime: Runtime) -> Any:
        return await runtime.run(step, **arguments)

    run_and_show(step.signature.returns, work, model=model, journal=journal, as_json=as_json)
