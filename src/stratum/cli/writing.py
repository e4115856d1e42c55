"""Writing to the journal from the command line: what a person decided, or asks of a run that another process has."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import trio

from stratum.actors.journal import Journal, open_journal
from stratum.actors.journal_records import Run
from stratum.cli.reading import LISTED, list_journal, require_journal
from stratum.contracts.messages import Message


@asynccontextmanager
async def open_own_session(journal: Path) -> AsyncGenerator[Journal]:
    """The journal for as long as the block lasts, in a session of its own."""
    async with open_journal(journal, session=uuid.uuid4().hex[:12]) as opened:
        yield opened


def post(journal: Path, run: str, message: Message) -> None:
    """Ask something of the process that owns a run.

    Raises:
        click.UsageError: no process does.
    """

    async def main() -> bool:
        async with open_own_session(journal) as opened:
            return await opened.post(run, message)

    require_journal(journal)
    if not trio.run(main):
        raise click.UsageError(f"no process is running {run}; `stratum resume {run}` goes on with it")


def post_to_all(journal: Path, message: Message) -> list[Run]:
    """Ask the same of every flow and plan that is going on: those that were asked."""
    going_on = [run for run in list_journal(journal, limit=LISTED) if run.state == "running" and run.target]

    async def main() -> list[Run]:
        async with open_own_session(journal) as opened:
            return [run for run in going_on if await opened.post(run.run, message)]

    return trio.run(main)
