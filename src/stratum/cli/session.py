"""One run from the command line: open a runtime, show progress, print the result or how to go on."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from stratum.cli.download import download_lines
from stratum.cli.exit_codes import FAILED, INTERRUPTED, exit_code
from stratum.cli.own_error import own_traceback
from stratum.cli.progress import Progress, shown_progress
from stratum.cli.time_spent import TimeSpent
from stratum.contracts.codec import Codec
from stratum.contracts.errors import BudgetExceeded, StratumError, described
from stratum.contracts.plans.errors import RunCancelled
from stratum.engine.providers.environment import provider_from_environment, provider_or_absent
from stratum.engine.runtime import Runtime, open_runtime
from stratum.engine.settings import read_settings
from stratum.engine.sinks import PageSink


def run_and_show(
    returns: Codec[Any],
    work: Callable[[Runtime], Awaitable[Any]],
    *,
    model: str | None,
    journal: Path,
    as_json: bool,
    asks: bool = False,
    calls_model: bool = False,
    profile: bool = False,
    progress: Progress | None = None,
) -> None:
    """Do `work` in a runtime of its own; prints its result on standard output and exits with a code that says how it ended.

    `asks`: it is a plan, which may have questions to a person at the terminal. `calls_model`: it is nothing without a model, and where
    there is none no run begins. `profile`: say at the end where the time went.
    `progress`: of a run that is gone on with, what it did before.
    """
    shown = progress or Progress()
    where: TimeSpent | None = None
    choose = provider_from_environment if calls_model else provider_or_absent
    provider = choose(read_settings().environ, progress=download_lines("the embedded model"))

    # At a terminal the runtime asks there by itself.
    sinks = None if sys.stdin.isatty() else [PageSink(journal)]

    async def main() -> Any:
        nonlocal where
        async with (
            open_runtime(provider=provider, model=model, journal=journal, sinks=sinks) as runtime,
            shown_progress(runtime, shown, quiet=as_json, live=not asks),
        ):
            timings = runtime.start_timing() if profile else None
            try:
                return await work(runtime)
            finally:
                where = None if timings is None else TimeSpent.of(timings)

    try:
        result = trio.run(main)
    except KeyboardInterrupt:
        _report(shown, state="cancelled", error="interrupted", where=where, as_json=as_json)
        raise SystemExit(INTERRUPTED) from None
    except StratumError as error:
        _report(shown, state=_state(error), error=described(error), where=where, as_json=as_json)
        raise SystemExit(exit_code(error)) from error
    except click.ClickException:
        raise
    except Exception as error:  # the flow's own code raised, and the program ends with it
        _report(
            shown, state="failed", error=described(error), where=where, as_json=as_json, raised=own_traceback(error)
        )
        raise SystemExit(FAILED) from error
    output = returns.jsonable(result, redact=False)
    if as_json:
        output = {"run": shown.run, "state": "succeeded", "output": output, **_profile(where)}
    else:
        _show(where)
        if shown.run:
            click.echo(f"audit: stratum audit {shown.run}   journal: {journal}", err=True)
    click.echo(msgspec.json.format(msgspec.json.encode(output), indent=2).decode())


def _state(error: StratumError) -> str:
    match error:
        case BudgetExceeded():
            return "exhausted"
        case RunCancelled():
            return "cancelled"
        case _:
            return "failed"


def _report(
    progress: Progress, *, state: str, error: str, where: TimeSpent | None, as_json: bool, raised: str = ""
) -> None:
    """What completed, and how to go on. `raised`: where, if it was code that is not ours."""
    if as_json:
        click.echo(raised, err=True, nl=False)
        outcome = {"run": progress.run, "state": state, "error": error, "completed": progress.done, **_profile(where)}
        click.echo(msgspec.json.encode(outcome).decode())
        return
    _show(where)
    click.echo(raised.rstrip() or error, err=True)
    if progress.run:
        click.echo(f"{len(progress.done)} steps completed, {progress.spend}", err=True)
        click.echo(f"what it did: stratum audit {progress.run}   go on: stratum resume {progress.run}", err=True)


def _profile(where: TimeSpent | None) -> dict[str, Any]:
    return {} if where is None else {"profile": where}


def _show(where: TimeSpent | None) -> None:
    if where is not None:
        click.echo(where.table(), err=True)
