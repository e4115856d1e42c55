"""The writer's thread: how often it commits; when it fails, everybody who waits hears why, and nothing is written afterwards."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest
import trio
from tests.fakes.journals import STARTED, released

from stratum.actors import journal_writer
from stratum.actors.journal import open_journal
from stratum.actors.journal_check import verify_journal
from stratum.actors.journal_failure import explained
from stratum.actors.journal_file import OpenFile, open_file, open_memory
from stratum.actors.journal_store import Entry, Store, entry, transaction
from stratum.actors.journal_watermark import Watermark
from stratum.actors.journal_writer import ThreadWriter
from stratum.contracts.errors import JournalCorrupt, JournalUnavailable


@asynccontextmanager
async def open_writer(
    path: Path, *, watermark: type[Watermark] = Watermark
) -> AsyncGenerator[tuple[ThreadWriter, Store, OpenFile], None]:
    opened = open_file(path, "s")
    opened.watermark.close()
    store = Store(opened.connection, session="s", alive="s".__eq__)
    writer = ThreadWriter(store, watermark=watermark(path), path=path)
    try:
        yield writer, store, opened
    finally:
        await writer.close()
        opened.lock.release()


def big(number: int) -> list[Entry]:
    return [entry("r", released(number))] * 100


def test_the_longer_commits_take_the_longer_the_next_entries_gather_within_bounds() -> None:
    quick, slow, hanging = journal_writer.gather_s(0.0001), journal_writer.gather_s(0.005), journal_writer.gather_s(30)

    assert quick == journal_writer.gather_s(0.0) == 0.005
    assert slow == 0.02
    assert hanging == 0.05


async def test_a_full_database_ends_every_wait(tmp_path: Path) -> None:
    heard: list[str] = []

    async def wait_for(writer: ThreadWriter, number: int) -> None:
        ticket = writer.put(big(number))
        with pytest.raises(JournalUnavailable, match="no space left to write it .*free some space, then resume"):
            await writer.durable(ticket)
        heard.append("durable")

    async with open_writer(tmp_path / "stratum.db") as (writer, store, opened):
        await writer.durable(writer.put([entry("r", STARTED)]))
        pages = opened.connection.execute("PRAGMA page_count").fetchone()[0]
        await writer.call(lambda: opened.connection.execute(f"PRAGMA max_page_count = {pages + 2}"))
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(wait_for, writer, number)
        failure = await writer.died()
        assert isinstance(failure.__cause__, sqlite3.OperationalError)
        with pytest.raises(JournalUnavailable):
            writer.put([entry("r", released(1))])
        with pytest.raises(JournalUnavailable):
            await writer.call(lambda: store.claim("r"))
    assert heard == ["durable"] * 10


async def test_what_was_committed_before_stays_durable(tmp_path: Path) -> None:
    async with open_writer(tmp_path / "stratum.db") as (writer, _, opened):
        ticket = writer.put([entry("r", STARTED)])
        await writer.durable(ticket)
        await writer.call(lambda: opened.connection.execute("PRAGMA query_only = ON"))
        with pytest.raises(JournalUnavailable, match="it cannot be written"):
            await writer.durable(writer.put([entry("r", released(1))]))
        await writer.durable(ticket)


async def test_work_that_was_asked_for_hears_of_the_failure_too(tmp_path: Path) -> None:
    async def ask(writer: ThreadWriter, store: Store) -> None:
        with pytest.raises(JournalUnavailable, match="it cannot be written"):
            await writer.call(lambda: store.claim("r"))

    async with open_writer(tmp_path / "stratum.db") as (writer, store, opened):
        await writer.call(lambda: opened.connection.execute("PRAGMA query_only = ON"))
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, writer, store)


class FullWatermark(Watermark):
    """A side file on a disk that filled up after it was opened."""

    def write(self, seq: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_side_file_that_cannot_be_written_stops_the_journal(tmp_path: Path) -> None:
    async with open_writer(tmp_path / "stratum.db", watermark=FullWatermark) as (writer, _, _):
        with pytest.raises(JournalUnavailable, match="no space left to write it"):
            await writer.durable(writer.put([entry("r", STARTED)]))


def test_a_disk_that_hangs_does_not_keep_the_runtime_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_writer, "_CLOSE_S", 0.1)
    path = tmp_path / "stratum.db"

    async def main() -> None:
        async with open_journal(path, session="s") as journal:
            other.enter_context(lock.locked())  # another process that never lets go
            journal.append("r", STARTED)

    lock = Watermark(path)
    with closing(lock), ExitStack() as other, pytest.raises(JournalUnavailable, match="the last commit took more than"):
        trio.run(main)
    for thread in threading.enumerate():
        if thread.name == "stratum-journal":
            thread.join()
    assert verify_journal(path).records == 1, "what the disk did take late, it took whole"


async def test_a_transaction_that_sqlite_ended_by_itself_is_not_ended_twice() -> None:
    connection = open_memory()
    with pytest.raises(ZeroDivisionError), transaction(connection):
        connection.execute("ROLLBACK")  # as SQLite does when the disk is full
        raise ZeroDivisionError
    connection.close()


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), JournalUnavailable, "no space left"),
        (OSError(errno.EROFS, "Read-only file system"), JournalUnavailable, "it cannot be written"),
        (PermissionError(errno.EACCES, "Permission denied"), JournalUnavailable, "it cannot be written"),
        (TimeoutError("the last commit took more than 30 s"), JournalUnavailable, "writing failed: TimeoutError"),
        (MemoryError(), JournalUnavailable, "writing failed: MemoryError"),
    ],
)
def test_failures_are_explained(error: Exception, kind: type[Exception], text: str) -> None:
    found = explained(error, path="j")
    assert type(found) is kind
    assert str(found).startswith(f"j: {text}")
    assert "; " in str(found)


def test_a_lock_held_by_another_program_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    with sqlite3.connect(path) as one, sqlite3.connect(path, timeout=0) as two:
        one.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            two.execute("BEGIN EXCLUSIVE")
    one.close()
    two.close()
    assert "another program keeps it locked" in str(explained(caught.value, path=str(path)))


def test_a_damaged_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    path.write_bytes(os.urandom(8192))
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        connection.execute("SELECT * FROM sqlite_master")
    connection.close()
    assert type(explained(caught.value, path=str(path))) is JournalCorrupt
