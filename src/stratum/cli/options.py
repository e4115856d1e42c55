"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from stratum.actors.locations import PROJECT_JOURNAL
from stratum.contracts.budget import Budget

F = TypeVar("F", bound=Callable[..., Any])


def journal_option(function: F) -> F:
    """`--journal FILE`, as a Path."""
    return click.option(
        "--journal",
        type=click.Path(path_type=Path, dir_okay=False),
        default=_journal,
        show_default=f"$STRATUM_JOURNAL, else of the settings file, else {PROJECT_JOURNAL}",
        help="The journal's file.",
    )(function)


def _journal() -> Path:
    from stratum.engine.settings import read_settings  # for commands that are called: `--help` needs no settings

    return Path(read_settings().environ.get("STRATUM_JOURNAL") or PROJECT_JOURNAL)


def steps_option(function: F) -> F:
    """`--steps PLACE`, repeated."""
    return click.option(
        "--steps",
        "modules",
        multiple=True,
        metavar="PLACE",
        help="file.py or module whose steps a plan may name; repeat it.",
    )(function)


def agent_option(function: F) -> F:
    """`--agent codex`."""
    return click.option(
        "--agent", type=click.Choice(["codex"]), help="Who does a plan's agent steps: your own Codex, by `codex exec`."
    )(function)


def limit_options(function: F) -> F:
    """`--usd`, `--tokens` and `--ms`: new limits, of the run or of the step that `--of` names; `new_limits` reads them."""
    options = (
        click.option("--usd", type=float, help="The new limit in USD, what it has spent included."),
        click.option("--tokens", type=int, help="The new limit in tokens, what it has used included."),
        click.option(
            "--ms", type=float, help="The new limit in milliseconds of running time, what it has used included."
        ),
        click.option(
            "--of",
            "scope",
            default="",
            metavar="STEP",
            help="Whose limit, as the error names it; default: the run's own.",
        ),
    )
    for option in reversed(options):  # as they stand above a function
        function = option(function)
    return function


def new_limits(*, usd: float | None, tokens: int | None, ms: float | None) -> Budget:
    """What `limit_options` were given.

    Raises:
        click.UsageError: one is not a limit.
    """
    try:
        return Budget(usd=usd, tokens=tokens, ms=ms)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def runtime_options(function: F) -> F:
    """`--model NAME` and `--json`."""
    function = click.option("--model", help="Model for calls that name none; default: $STRATUM_MODEL.")(function)
    return click.option(
        "--json", "as_json", is_flag=True, help="No progress; one JSON object with run, state and output."
    )(function)
