"""The journal: every record of every run, durable, in the order it was appended.

    Journal ──put──▶ Writer ──▶ Store ──▶ SQLite
      └── read, runs, verify ────────────────┘

One file a project, any number of sessions and processes; a run is written by the one session that owns it.
Above: the engine. Below: journal_writer.py (when to write), journal_store.py (what).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NoReturn

import trio

from stratum.actors.journal_file import open_file, open_memory, sessions_folder
from stratum.actors.journal_records import Run, find_run, has_asked, list_runs, read_run, verified_bodies
from stratum.actors.journal_store import LETS_GO, Store, entry, last_link
from stratum.actors.journal_writer import InlineWriter, ThreadWriter, Ticket, Writer
from stratum.actors.past_calls import PastCalls, RecentCalls
from stratum.actors.session_lock import session_alive
from stratum.actors.spend_by_day import counted_since
from stratum.contracts.allowance import Allowance
from stratum.contracts.errors import RunLocked, UnknownRun
from stratum.contracts.messages import Message
from stratum.contracts.records import Record, RunStarted

__all__ = ["Journal", "Run", "Ticket", "open_journal"]


BACKLOG_BYTES = 8 * 2**20
"""What may wait for the disk before `room` makes its callers wait too."""


class Journal:
    """One session's way to the journal."""

    def __init__(
        self, writer: Writer, store: Store, *, session: str, alive: Callable[[str], bool], path: Path | None
    ) -> None:
        self.session = session
        self.path = path
        """Its file; `None`: it is in memory."""
        self._writer = writer
        self._store = store
        self._alive = alive
        self._owned: set[str] = set()
        self._last = Ticket(0)
        self._recent_calls = RecentCalls()

    @property
    def shared(self) -> bool:
        """Other processes may write to it too: it is a file."""
        return self.path is not None

    def append(self, run: str, *records: Record) -> Ticket:
        """Queue records of a run, in order; they are committed together or not at all.

        The first record of a run is its `RunStarted`, the last its `RunFinished`. With that, and with a `PlanProposed`, the run is
        let go. Does not checkpoint.

        Raises:
            JournalUnavailable: nothing can be written any more.
            UnknownRun: this session neither started nor claimed the run, or has finished it, or starts it twice.
            ValueError: no record, or one that is too large to keep.
        """
        if not records:
            raise ValueError("append: pass at least one record")
        if (run in self._owned) is isinstance(records[0], RunStarted):
            raise UnknownRun(run=run, problem="not open in this session", fix="start it, once, or claim it")
        self._last = self._writer.put([entry(run, record) for record in records])
        if type(records[-1]) in LETS_GO:
            self._owned.discard(run)
        else:
            self._owned.add(run)
        return self._last

    async def durable(self, ticket: Ticket) -> None:
        """Wait until everything up to `ticket` is committed. Cancelling the wait retracts nothing.

        Raises:
            JournalUnavailable: it was not committed, or that is not known.
        """
        await self._writer.durable(ticket)

    async def commit(self, run: str, *records: Record) -> None:
        """`append`, then `durable`."""
        await self._writer.durable(self.append(run, *records))

    async def hold(self, reservation: str, picousd: int, allowance: Allowance) -> int | None:
        """Count a call's worst case against `allowance`, before it is reserved.

        Returns what counts already, in picodollars, where the call does not fit; no other session can come between. A process
        that dies before it has recorded the reservation leaves the worst case counted on that day.
        """
        first_day = allowance.first_day(datetime.now(UTC).date())
        return await self._writer.call(
            lambda: self._store.hold(reservation, picousd, limit_picousd=allowance.picousd, first_day=first_day)
        )

    async def counted_since(self, first_day: str) -> int:
        """What the calls of `first_day` (UTC, ISO 8601) and later count for in all sessions, in picodollars."""
        return await self._writer.read(lambda connection: counted_since(connection, first_day))

    async def post(self, run: str, message: Message) -> bool:
        """Ask something of a run that another session owns; False if no session that is alive does.

        Raises:
            UnknownRun: not in this journal.
        """
        return await self._writer.call(lambda: self._store.post(run, message))

    async def messages(self, runs: Collection[str]) -> list[tuple[str, Message]]:
        """What others have asked of these runs, which this session owns, since the last look."""
        return await self._writer.call(lambda: self._store.messages(runs))

    @property
    def behind(self) -> bool:
        """So much waits for the disk that whoever appends should wait for `room`."""
        return self._writer.backlog_bytes > BACKLOG_BYTES

    async def room(self) -> None:
        """Wait while the disk is far behind. Checkpoints only then.

        For whoever appends without ever waiting for `durable`: what was appended stays in memory until it is committed.
        """
        if self.behind:
            await self._writer.durable(self._last)

    async def claim(self, run: str) -> int:
        """Become the owner of a run, to append to it; how many records it has.

        Raises:
            UnknownRun: not in this journal.
            RunLocked: it is running, here or in another session that is alive.
            RunError: it was pruned.
        """
        if run in self._owned:
            raise RunLocked(run=run, problem="this session is running it", fix="wait for it to end")
        records = await self._writer.call(lambda: self._store.claim(run))
        self._owned.add(run)
        return records

    async def release(self, run: str) -> None:
        """Let go of a run that was claimed and is not to be resumed after all.

        Though cancelled: else nobody could claim it while this session lives.
        """
        self._owned.discard(run)
        with trio.CancelScope(shield=True):
            await self._writer.call(lambda: self._store.release(run))

    @asynccontextmanager
    async def claimed(self, run: str) -> AsyncGenerator[None]:
        """Own a run for as long as the block lasts, to append to it. Raises as `claim`."""
        await self.claim(run)
        try:
            yield
        finally:
            await self.release(run)

    async def read(self, run: str) -> list[Record]:
        """The run's records in order, those just appended included.

        Raises:
            UnknownRun: not in this journal.
            JournalCorrupt: a record is missing or altered.
        """
        return await self._writer.read(lambda connection: read_run(connection, run))

    async def runs(self, *, limit: int = 100, idle: bool = True) -> list[Run]:
        """The last `limit` runs, newest first; `idle`: also those of sessions that called nothing outside of a flow."""
        return await self._writer.read(
            lambda connection: list_runs(connection, alive=self._alive, limit=limit, idle=idle)
        )

    async def state(self, run: str) -> str:
        """A run's state as `runs` lists it.

        Raises:
            UnknownRun: not in this journal.
        """
        return (await self._writer.read(lambda connection: find_run(connection, run, alive=self._alive))).state

    async def peek(self, run: str) -> tuple[Run, int]:
        """A run as `runs` lists it, and how many records it has: whether it has gone on, without reading them.

        Raises:
            UnknownRun: not in this journal.
        """
        return await self._writer.read(
            lambda connection: (find_run(connection, run, alive=self._alive), last_link(connection, run)[0])
        )

    async def has_asked(self, run: str, *, after: int = 0) -> bool:
        """Whether the run, after its first `after` records, has asked a person something; they may have answered since."""
        return await self._writer.read(lambda connection: has_asked(connection, run, after=after))

    async def past_calls(self) -> Mapping[tuple[str, str], PastCalls]:
        """What functions took lately, by name and kind."""
        return await self._writer.read(self._recent_calls.read)

    async def verify(self, run: str) -> None:
        """Check the run's hash chain.

        Raises:
            JournalCorrupt: a record is missing or altered.
        """
        await self._writer.read(lambda connection: deque(verified_bodies(connection, run), maxlen=0))

    def refuse_if_dead(self) -> None:
        """Raise `JournalUnavailable` if something was not written and nothing more will be, though `run` may not have said so yet."""
        self._writer.refuse_if_dead()

    async def run(self) -> NoReturn:
        """To be supervised: raises once the journal cannot be written, so that work stops.

        Raises:
            JournalUnavailable: why.
        """
        raise await self._writer.died()


@asynccontextmanager
async def open_journal(path: Path | None, *, session: str) -> AsyncGenerator[Journal, None]:
    """The journal in the file `path`, or one in memory that lasts as long as the block.

    In memory every append is committed at once, on the loop's thread. In a file, a thread of its own commits
    in groups; leaving the block waits for what was appended.

    Raises:
        JournalCorrupt: acknowledged records are missing.
        JournalUnavailable: it cannot be written; on leaving the block, something appended was not.
        ValueError: another session has this name.
    """
    async with _open_memory(session) if path is None else _open_file(path, session) as journal:
        yield journal


@asynccontextmanager
async def _open_memory(session: str) -> AsyncGenerator[Journal, None]:
    store = Store(open_memory(), session=session, alive=session.__eq__)
    writer = InlineWriter(store)
    try:
        yield Journal(writer, store, session=session, alive=session.__eq__, path=None)
    finally:
        await writer.close()


@asynccontextmanager
async def _open_file(path: Path, session: str) -> AsyncGenerator[Journal, None]:
    connection, watermark, lock = await trio.to_thread.run_sync(open_file, path, session)
    alive = partial(session_alive, sessions_folder(path))
    store = Store(connection, session=session, alive=alive)
    writer = ThreadWriter(store, watermark=watermark, path=path)
    try:
        yield Journal(writer, store, session=session, alive=alive, path=path)
    finally:
        await writer.close()
        lock.release()
    # Only after a block that ended well: one that failed says itself why.
    writer.refuse_if_dead()
