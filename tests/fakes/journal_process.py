"""Processes that write a journal, to be killed, starved of disk or locked out.

Children of tests/fakes/forks.py; they say what was acknowledged, a line each.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import trio

from stratum.actors.journal import Journal, open_journal
from stratum.actors.journal_reader import open_reader
from stratum.actors.journal_store import Entry, Store
from stratum.actors.journal_writer import ThreadWriter, Ticket
from stratum.contracts.errors import JournalError
from stratum.contracts.records import RunResumed
from tests.fakes.forks import say, serve
from tests.fakes.journals import STARTED, released


async def produce(path: str, session: str, run: str, limit: int) -> None:
    """Append pairs of records from three tasks and say which are durable, up to number `limit`."""
    async with open_journal(Path(path), session=session) as journal:
        say("open")
        numbers = count(await begin(journal, run), 2)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(produce_pairs, journal, run, numbers, limit)


async def begin(journal: Journal, run: str) -> int:
    """Start the run, or go on with one that was killed; the first number not used."""
    if not any(known.run == run for known in await journal.runs()):
        await journal.commit(run, STARTED)
        return 0
    await journal.claim(run)
    used = sum(not isinstance(record, RunResumed) for record in await journal.read(run)) - 1
    await journal.commit(run, RunResumed(session=journal.session))
    return used


async def produce_pairs(journal: Journal, run: str, numbers: count[int], limit: int) -> None:
    for number in numbers:
        if number > limit:
            break
        await journal.commit(run, released(number), released(number + 1))
        say(f"ack {number}")


async def fill(path: str, session: str, run: str, file_bytes: int) -> None:
    """Write until no file may grow beyond `file_bytes`, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    try:
        async with open_journal(Path(path), session=session) as journal, trio.open_nursery() as nursery:
            nursery.start_soon(stop_when_dead, journal, nursery)
            await journal.commit(run, STARTED)
            for number in count():
                await journal.commit(run, released(number))
                say(f"ack {number}")
    except* JournalError as group:
        for error in group.exceptions:
            say(f"{type(error).__name__}: {error}")


async def stop_when_dead(journal: Journal, nursery: trio.Nursery) -> None:
    try:
        await journal.run()
    except JournalError as error:
        say(f"supervisor: {type(error).__name__}")
        nursery.cancel_scope.cancel(reason="nothing can be recorded any more")


def become(user: int) -> None:
    """Give up being root; 0: stay who we are."""
    # Python 3.13 imports urllib on the first use of this, and the new user may not be able to read the interpreter's folder.
    Path("/").as_uri()
    if user:
        os.setuid(user)


async def open_as(path: str, session: str, user: int) -> None:
    """Open the journal as a user whom file modes bind."""
    become(user)
    try:
        async with open_journal(Path(path), session=session) as journal:
            await journal.commit("r", STARTED)
            say("opened")
    except JournalError as error:
        say(f"{type(error).__name__}: {error}")


async def ask_as(path: str, user: int) -> None:
    """Count the journal's records as a user whom file modes bind."""
    become(user)
    with open_reader(Path(path)) as reader:
        ((records,),) = reader.query("SELECT count(*) FROM records").rows
        say(str((records, reader.partial)))


def acknowledge_at_once() -> None:
    """A mutant: nobody waits for the disk."""

    async def durable(self: ThreadWriter, ticket: Ticket) -> None:
        await trio.lowlevel.checkpoint()

    ThreadWriter.durable = durable  # type: ignore[method-assign]


def commit_one_by_one() -> None:
    """A mutant: the records of one append are not one transaction."""
    whole = Store.write

    def write(self: Store, entries: Sequence[Entry]) -> int:
        return [whole(self, [entry]) for entry in entries][-1]

    Store.write = write  # type: ignore[method-assign]


ACTIONS = {action.__name__: action for action in (produce, fill, open_as, ask_as)}
MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant for mutant in (acknowledge_at_once, commit_one_by_one)
}


if __name__ == "__main__":
    serve(ACTIONS, MUTANTS)
