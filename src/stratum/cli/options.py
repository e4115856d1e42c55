"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from stratum.actors.locations import PROJECT_JOURNAL

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


def runtime_options(function: F) -> F:
    """`--model NAME` and `--json`."""
    function = click.option("--model", help="Model for calls that name none; default: $STRATUM_MODEL.")(function)
    return click.option(
        "--json", "as_json", is_flag=True, help="No progress; one JSON object with run, state and output."
    )(function)
