"""When entries reach the file: at once and inline, or in groups on a thread of their own.

Above: journal.py. Below: journal_store.py, which knows the SQL and nothing of threads.
"""

from __future__ import annotations

import copy
import heapq
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Generic, NewType, Protocol, TypeVar

import trio

from stratum.actors.journal_failure import explained
from stratum.actors.journal_store import Entry, Store
from stratum.actors.journal_watermark import Watermark
from stratum.actors.read_connections import ReadConnections
from stratum.contracts.errors import JournalError, JournalUnavailable, StratumError

T = TypeVar("T")

Ticket = NewType("Ticket", int)
"""What `append` gives and `durable` takes: how many appends this session made so far."""

# How long entries that nobody waits for may gather: one sync then serves many of them. PERF.md: 512 or 5 ms.
_GATHER_S = 0.005
_GATHER_ENTRIES = 512
# While the loop is busy, its thread and this one wait for one another in every commit: so there are the fewer of them, the
# longer they take.
_GATHER_PER_COMMIT = 4
_MOST_GATHER_S = 0.05
# Bounds what one transaction holds in memory and how long the others wait for it.
_MAX_BATCH_ENTRIES = 4096
_MAX_BATCH_BYTES = 8 * 2**20
_READERS = 4
# A sync that hangs (a lost network disk) must not keep the process from ending.
_CLOSE_S = 30


def gather_s(commit_s: float) -> float:
    """How long entries that nobody waits for gather, seconds, after a commit that took `commit_s`."""
    return min(max(_GATHER_S, _GATHER_PER_COMMIT * commit_s), _MOST_GATHER_S)


def _closed(path: str) -> JournalUnavailable:
    return JournalUnavailable(path=path, problem="it was closed", fix="keep the runtime open until its work is done")


class Writer(Protocol):
    """Puts entries into a journal, in order."""

    backlog_bytes: int
    """Bytes put and not yet committed."""

    def put(self, entries: Sequence[Entry]) -> Ticket:
        """Queue the entries of one append; they are committed together."""
        ...

    async def durable(self, ticket: Ticket) -> None:
        """Wait until everything up to `ticket` is committed. Cancelling the wait retracts nothing."""
        ...

    async def call(self, work: Callable[[], T]) -> T:
        """Do `work` between two transactions, after everything put so far."""
        ...

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` with a connection that sees everything put so far."""
        ...

    async def died(self) -> JournalError:
        """Wait until nothing can be written any more, and say why."""
        ...

    def refuse_if_dead(self) -> None:
        """Say why, if something put was not committed and nothing more will be."""
        ...

    async def close(self) -> None:
        """Commit what was put, if that is still possible, then end."""
        ...


class InlineWriter:
    """Writes on the loop's own thread: for a database in memory, where there is nothing to wait for."""

    backlog_bytes = 0

    def __init__(self, store: Store) -> None:
        self._store = store
        self._closed = False
        self._count = 0
        # Written when somebody looks, or when there are many: a transaction a record is five times the work.
        self._unwritten: list[Entry] = []

    def put(self, entries: Sequence[Entry]) -> Ticket:
        self._refuse_if_closed()
        self._unwritten += entries
        if len(self._unwritten) >= _GATHER_ENTRIES:
            self._write()
        self._count += 1
        return Ticket(self._count)

    async def durable(self, ticket: Ticket) -> None:
        await trio.lowlevel.checkpoint()

    async def call(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        self._refuse_if_closed()
        self._write()
        return work()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self.call(lambda: work(self._store.connection))

    async def died(self) -> JournalError:
        await trio.sleep_forever()

    def refuse_if_dead(self) -> None:
        """Memory does not fail."""

    async def close(self) -> None:
        self._closed = True
        self._store.connection.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise _closed(":memory:")

    def _write(self) -> None:
        if self._unwritten:
            self._store.write(self._unwritten)
            self._unwritten = []


class _Job(Generic[T]):
    """Work for the writer's thread, and where its result goes."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.done = trio.Event()
        self.error: StratumError | None = None
        self._work = work
        self._result: list[T] = []

    def run(self) -> None:
        try:
            self._result.append(self._work())
        except StratumError as error:
            self.error = error

    @property
    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self._result[0]


class ThreadWriter:
    """Commits in groups on a thread of its own; acknowledges on the loop's.

    While one group is being committed the next gathers. Once a commit has failed nothing is written
    any more: what the file then holds is not known, and a second try could hide a loss.
    """

    def __init__(self, store: Store, *, watermark: Watermark, path: Path) -> None:
        self.backlog_bytes = 0
        self._store = store
        self._watermark = watermark
        self._path = path
        self._reads = ReadConnections(path)
        self._loop = trio.lowlevel.current_trio_token()
        self._process = os.getpid()
        # Appending to a deque and taking from it are atomic; no lock is shared with the loop.
        self._queue: deque[Sequence[Entry] | _Job[object]] = deque()
        self._work = threading.Event()
        self._flush = threading.Event()
        self._closing = False
        self._count = 0
        self._durable = 0
        self._waiting: dict[int, trio.Event] = {}
        self._waiting_order: list[int] = []
        self._failure: JournalError | None = None
        self._dead = trio.Event()
        # Of its own, as in `close`: threads abandoned elsewhere may have used up the shared one.
        self._readers = trio.CapacityLimiter(_READERS)
        # A daemon, so that a sync that hangs for ever cannot keep the interpreter alive.
        self._thread = threading.Thread(target=self._run, name="stratum-journal", daemon=True)
        self._thread.start()

    def put(self, entries: Sequence[Entry]) -> Ticket:
        self._refuse_if_ending()
        self._queue.append(entries)
        self.backlog_bytes += sum(len(one.body) for one in entries)
        self._count += 1
        if not self._work.is_set():
            self._work.set()
        if len(self._queue) >= _GATHER_ENTRIES and not self._flush.is_set():
            self._flush.set()
        return Ticket(self._count)

    async def durable(self, ticket: Ticket) -> None:
        if ticket <= self._durable:
            await trio.lowlevel.checkpoint()
            return
        self.refuse_if_dead()
        if ticket not in self._waiting:
            self._waiting[ticket] = trio.Event()
            heapq.heappush(self._waiting_order, ticket)
        if not self._flush.is_set():
            self._flush.set()
        await self._waiting[ticket].wait()
        if ticket > self._durable:
            self.refuse_if_dead()

    async def call(self, work: Callable[[], T]) -> T:
        self._refuse_if_ending()
        job = _Job(work)
        self._queue.append(job)  # type: ignore[arg-type]  # its result is read here only
        self._work.set()
        self._flush.set()
        # Shielded: what was done and then not told (a run claimed, say) could not be undone.
        with trio.CancelScope(shield=True):
            await job.done.wait()
        return job.result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        await self.durable(Ticket(self._count))
        return await trio.to_thread.run_sync(self._read, work, limiter=self._readers)

    async def died(self) -> JournalError:
        await self._dead.wait()
        assert self._failure is not None
        return self._failure

    async def close(self) -> None:
        self._closing = True
        self._work.set()
        self._flush.set()
        self._reads.close()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._thread.join, _CLOSE_S, limiter=trio.CapacityLimiter(1))
        if self._thread.is_alive():
            self._die(TimeoutError(f"the last commit took more than {_CLOSE_S} s"))

    def refuse_if_dead(self) -> None:
        if self._failure is not None:
            raise copy.copy(self._failure) from self._failure.__cause__

    def _refuse_if_ending(self) -> None:
        self.refuse_if_dead()
        if os.getpid() != self._process:
            # A fork copies no threads: nobody would ever commit this.
            raise JournalUnavailable(
                path=str(self._path),
                problem="this process was forked from the one that writes it",
                fix="open a runtime in each process; they may share a journal",
            )
        if self._closing:
            # The thread is about to end, or has: nobody would ever commit this.
            raise _closed(str(self._path))

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._reads.one() as connection:
                return work(connection)
        except sqlite3.Error as error:
            raise explained(error, path=str(self._path)) from error

    def _acknowledge(self, appends: int, size_bytes: int) -> None:
        self._durable += appends
        self.backlog_bytes -= size_bytes
        while self._waiting_order and self._waiting_order[0] <= self._durable:
            self._waiting.pop(heapq.heappop(self._waiting_order)).set()

    def _die(self, cause: Exception) -> None:
        self._failure = explained(cause, path=str(self._path))
        self._failure.__cause__ = cause
        self._dead.set()
        for event in self._waiting.values():
            event.set()
        while self._queue:
            left = self._queue.popleft()
            if isinstance(left, _Job):
                left.error = self._failure
                left.done.set()

    # Everything below runs on the thread.

    def _run(self) -> None:
        try:
            commit_s = 0.0
            while self._gather(gather_s(commit_s)):
                began_s = perf_counter()
                self._commit_batch()
                commit_s = perf_counter() - began_s
                self._do_job()
        except Exception as error:  # noqa: BLE001  # whatever it was, those who wait on this thread must hear of it
            self._tell(self._die, error)
        finally:
            self._store.connection.close()
            self._watermark.close()

    def _gather(self, moment_s: float) -> bool:
        """Wait for work, and then a moment for more of it; false when there will be none."""
        if not self._queue:
            if self._closing:
                return False
            self._work.wait()
        self._work.clear()
        if len(self._queue) < _GATHER_ENTRIES:
            self._flush.wait(moment_s)
        self._flush.clear()
        return True

    def _commit_batch(self) -> None:
        """Commit the entries up to the next job, as many as one transaction should hold."""
        batch: list[Entry] = []
        appends = size_bytes = 0
        while self._queue and len(batch) < _MAX_BATCH_ENTRIES and size_bytes < _MAX_BATCH_BYTES:
            if isinstance(entries := self._queue[0], _Job):
                break
            batch += entries
            size_bytes += sum(len(one.body) for one in entries)
            appends += 1
            self._queue.popleft()
        if batch:
            with self._watermark.locked():
                self._watermark.write(self._store.write(batch))
            self._tell(self._acknowledge, appends, size_bytes)

    def _do_job(self) -> None:
        if self._queue and isinstance(job := self._queue[0], _Job):
            job.run()
            # It stays in the queue until it is done: `_die` answers what it finds there.
            self._queue.popleft()
            self._tell(job.done.set)

    def _tell(self, listener: Callable[..., object], *values: object) -> None:
        try:
            self._loop.run_sync_soon(listener, *values)
        except trio.RunFinishedError:
            pass
