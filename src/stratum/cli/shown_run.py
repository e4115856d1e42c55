"""`ShownRun`: one run from the command line: in a runtime of its own, with its progress, and its result or how to go on."""

from __future__ import annotations

import sys
import time
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
from stratum.engine.people.sinks import PageSink
from stratum.engine.providers.environment import provider_from_environment, provider_or_absent
from stratum.engine.providers.protocol import Provider
from stratum.engine.runtime import Runtime, open_runtime
from stratum.engine.settings import read_settings

Work = Callable[[Runtime], Awaitable[Any]]


class ShownRun:
    """What the options say of it, what it has done so far, and where its time went."""

    def __init__(
        self,
        *,
        model: str | None,
        journal: Path,
        as_json: bool,
        profile: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """`profile`: say at the end where the time went. `progress`: of a run that is gone on with, what it did before."""
        self.model = model
        self.as_json = as_json
        self._journal = journal
        self._profile = profile
        self._progress = progress or Progress()
        self._time_spent: TimeSpent | None = None

    def run(self, returns: Codec[Any], work: Work, *, asks: bool = False, calls_model: bool = False) -> None:
        """Do `work`; prints its result on standard output, or exits with a code that says how it ended.

        `asks`: it is a plan, which may have questions to a person at the terminal. `calls_model`: it is nothing without a model,
        and where there is none no run begins.
        """
        choose = provider_from_environment if calls_model else provider_or_absent
        provider = choose(read_settings().environ, progress=download_lines("the embedded model"))
        try:
            result = trio.run(self._in_runtime, provider, work, asks)
        except KeyboardInterrupt:
            self._tell_end("cancelled", "interrupted")
            raise SystemExit(INTERRUPTED) from None
        except StratumError as error:
            self._tell_end(_state(error), described(error))
            raise SystemExit(exit_code(error)) from error
        except click.ClickException:
            raise
        except Exception as error:  # the flow's own code raised, and the program ends with it
            self._tell_end("failed", described(error), raised=own_traceback(error))
            raise SystemExit(FAILED) from error
        self._tell_result(returns.jsonable(result, redact=False))

    async def _in_runtime(self, provider: Provider, work: Work, asks: bool) -> Any:
        # At a terminal the runtime asks there by itself.
        sinks = None if sys.stdin.isatty() else [PageSink(self._journal)]
        async with (
            open_runtime(provider=provider, model=self.model, journal=self._journal, sinks=sinks) as runtime,
            shown_progress(runtime, self._progress, quiet=self.as_json, live=not asks),
        ):
            cpu_before = time.process_time()
            timings = runtime.start_timing() if self._profile else None
            try:
                return await work(runtime)
            finally:
                self._time_spent = None if timings is None else TimeSpent.of(timings, cpu_before=cpu_before)

    def _tell_result(self, output: Any) -> None:
        run = self._progress.run
        if self.as_json:
            output = {"run": run, "state": "succeeded", "output": output, **self._time_as_json()}
        else:
            self._tell_time()
            if run:
                click.echo(f"audit: stratum audit {run}   journal: {self._journal}", err=True)
        click.echo(msgspec.json.format(msgspec.json.encode(output), indent=2).decode())

    def _tell_end(self, state: str, error: str, *, raised: str = "") -> None:
        """What completed, and how to go on. `raised`: where, if it was code that is not ours."""
        progress = self._progress
        if self.as_json:
            click.echo(raised, err=True, nl=False)
            outcome = {"run": progress.run, "state": state, "error": error, "completed": progress.done}
            click.echo(msgspec.json.encode({**outcome, **self._time_as_json()}).decode())
            return
        self._tell_time()
        click.echo(raised.rstrip() or error, err=True)
        if progress.run:
            click.echo(f"{len(progress.done)} steps completed, {progress.spend}", err=True)
            click.echo(f"what it did: stratum audit {progress.run}   go on: stratum resume {progress.run}", err=True)

    def _time_as_json(self) -> dict[str, Any]:
        return {} if self._time_spent is None else {"profile": self._time_spent}

    def _tell_time(self) -> None:
        if self._time_spent is not None:
            click.echo(self._time_spent.table(), err=True)


def _state(error: StratumError) -> str:
    match error:
        case BudgetExceeded():
            return "exhausted"
        case RunCancelled():
            return "cancelled"
        case _:
            return "failed"
