"""One run from the command line: open a runtime, show progress, print the result or how to go on."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from stratum.cli.download import download_lines
from stratum.cli.exit_codes import INTERRUPTED, exit_code
from stratum.cli.progress import Progress, shown_progress
from stratum.contracts.codec import Codec
from stratum.contracts.errors import BudgetExceeded, StratumError, described
from stratum.engine.providers.environment import provider_from_environment
from stratum.engine.runtime import Runtime, open_runtime


def run_and_show(
    returns: Codec[Any],
    work: Callable[[Runtime], Awaitable[Any]],
    *,
    model: str | None,
    journal: Path,
    as_json: bool,
    asks: bool = False,
) -> None:
    """Do `work` in a runtime of its own; prints its result on standard output and exits with a code that says how it ended.

    `asks`: it may have questions to a person at the terminal.
    """
    shown = Progress()
    provider = provider_from_environment(os.environ, progress=download_lines("the embedded model"))

    async def main() -> Any:
        nonlocal shown
        async with (
            open_runtime(provider=provider, model=model, journal=journal) as runtime,
            shown_progress(runtime, quiet=as_json, live=not asks) as shown,
        ):
            return await work(runtime)

    try:
        result = trio.run(main)
    except KeyboardInterrupt:
        _report(shown, state="cancelled", error="interrupted", journal=journal, as_json=as_json)
        raise SystemExit(INTERRUPTED) from None
    except StratumError as error:
        state = "exhausted" if isinstance(error, BudgetExceeded) else "failed"
        _report(shown, state=state, error=described(error), journal=journal, as_json=as_json)
        raise SystemExit(exit_code(error)) from error
    output = returns.jsonable(result, redact=False)
    if as_json:
        output = {"run": shown.run, "state": "succeeded", "output": output}
    elif shown.run:
        click.echo(f"audit: stratum audit {shown.run}   journal: {journal}", err=True)
    click.echo(msgspec.json.format(msgspec.json.encode(output), indent=2).decode())


def _report(progress: Progress, *, state: str, error: str, journal: Path, as_json: bool) -> None:
    """What completed, and how to go on."""
    if as_json:
        outcome = {"run": progress.run, "state": state, "error": error, "completed": progress.done}
        click.echo(msgspec.json.encode(outcome).decode())
        return
    click.echo(error, err=True)
    if progress.run:
        click.echo(f"{len(progress.done)} steps completed, {progress.spend}", err=True)
        click.echo(f"what it did: stratum audit {progress.run}   go on: stratum resume {progress.run}", err=True)
