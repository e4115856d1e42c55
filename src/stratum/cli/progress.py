"""Live progress: the journal's records as they are decided, as lines, or as a table on a terminal.

Everything shown is a fold over records: nothing here asks the engine anything.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol

import click
import trio

from stratum.actors.event_hub import Subscription
from stratum.contracts.money import format_usd
from stratum.contracts.records import (
    AttemptFinished,
    CallFinished,
    CallStarted,
    Diverged,
    Exhausted,
    Leaked,
    LeftInDoubt,
    LostWorker,
    Reconciled,
    Record,
    RunFinished,
    RunResumed,
    RunStarted,
    ScopeOpened,
    Settled,
)
from stratum.engine.runtime import Runtime

if TYPE_CHECKING:
    from rich.table import Table


class Progress:
    """What a run has done so far."""

    def __init__(self) -> None:
        self.run = ""
        """The id of the flow's run; empty until it has started."""
        self.limit_picousd: int | None = None
        self.spent_picousd = 0
        self.done: list[str] = []
        self.running: dict[str, str] = {}
        """Step id to what it is doing."""

    def recall(self, run: str, records: Sequence[Record]) -> None:
        """Take in what was recorded before the run is gone on with."""
        for record in records:
            self.read(run, record)
        self.running = {}

    def read(self, run: str, record: Record) -> str | None:
        """Take a record in; the line that says what it means, where it means something to a person."""
        match record:
            case RunStarted() if record.target:
                self.run = run
                return f"run {run}  {record.name}"
            case RunResumed():
                self.run = run
                return f"run {run}  " + (
                    f"resumed after {record.elapsed_ms / 1000:.1f} s" if record.elapsed_ms else "begins"
                )
            case ScopeOpened() if record.scope == "" and run == self.run:
                self.limit_picousd = record.limits.get("usd")
                return None
            case CallStarted():
                self.running[record.call] = record.type
                return None
            case Settled() | Reconciled():
                self.spent_picousd += record.picousd
                return None
            case AttemptFinished() if record.attempt.violations:
                self.running[record.call] = f"retrying after attempt {record.attempt.number}"
                reasons = "; ".join(violation.for_prompt for violation in record.attempt.violations)
                return f"  {record.call}  attempt {record.attempt.number} rejected: {reasons}"
            case CallFinished():
                return self._finished(record)
            case LeftInDoubt():
                return f"  in doubt: {record.reason}; its reservation stays counted"
            case Exhausted():
                return f"  budget of {record.scope or 'the run'} exhausted: {record.resource}"
            case Diverged():
                return f"  diverged: {len(record.calls)} completed calls were not made again: {', '.join(record.calls[:5])}"
            case Leaked():
                return f"  {record.what}"
            case LostWorker():
                return f"  {record.worker} was lost: {record.reason}"
            case RunFinished() if run == self.run:
                return f"run {run}  {record.state} in {record.elapsed_ms / 1000:.1f} s, {self.spend}"
            case _:
                return None

    @property
    def spend(self) -> str:
        """`0.011 of 0.500 USD`."""
        spent = format_usd(self.spent_picousd)
        return f"{spent} USD" if self.limit_picousd is None else f"{spent} of {format_usd(self.limit_picousd)} USD"

    def _finished(self, record: CallFinished) -> str:
        self.running.pop(record.call, None)
        if record.outcome != "ok":
            return f"  {record.call}  {record.outcome}: {record.trace.headline}"
        self.done.append(record.call)
        attempts = "" if record.trace.attempts <= 1 else f", {record.trace.attempts} attempts"
        tokens = record.trace.input_tokens + record.trace.output_tokens
        cost = f", {tokens} tokens" if tokens else ""
        return f"  {record.call}  done in {record.trace.duration_ms / 1000:.1f} s{attempts}{cost}"


class View(Protocol):
    """Where progress is shown."""

    def show(self, progress: Progress, line: str | None) -> None: ...


class _Lines:
    def show(self, progress: Progress, line: str | None) -> None:
        if line is not None:
            click.echo(line, err=True)


class _Quiet:
    def show(self, progress: Progress, line: str | None) -> None:
        pass


class _Live:
    """Lines scroll above a table of what is running and what has been spent."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.live = Live(console=Console(stderr=True), transient=True, refresh_per_second=8)

    def show(self, progress: Progress, line: str | None) -> None:
        if line is not None:
            self.live.console.print(line, markup=False, highlight=False)
        self.live.update(_table(progress))


def _table(progress: Progress) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2))
    for step, doing in list(progress.running.items())[:12]:
        table.add_row("", step, doing)
    table.add_row("", f"{len(progress.done)} done", progress.spend)
    return table


@contextmanager
def _view(*, quiet: bool, live: bool) -> Generator[View]:
    if quiet:
        yield _Quiet()
    elif live and sys.stderr.isatty():
        shown = _Live()
        with shown.live:
            yield shown
    else:
        yield _Lines()


@asynccontextmanager
async def shown_progress(runtime: Runtime, progress: Progress, *, quiet: bool, live: bool) -> AsyncGenerator[None]:
    """Show what happens in `runtime` until the block ends; everything that happened in it has then been shown.

    Not `live`, there are lines alone: a table would be drawn over whatever a person is asked.
    """
    with _view(quiet=quiet, live=live) as view:
        async with trio.open_nursery() as nursery, runtime.events.subscribe() as events:
            followed = trio.Event()
            nursery.start_soon(_follow, events, progress, view, followed)
            try:
                yield
            finally:
                events.close()
                with trio.CancelScope(shield=True):
                    await followed.wait()  # how it ended is shown, also when it ended badly


async def _follow(events: Subscription, progress: Progress, view: View, followed: trio.Event) -> None:
    try:
        async for run, record in events:
            view.show(progress, progress.read(run, record))
    finally:
        followed.set()
