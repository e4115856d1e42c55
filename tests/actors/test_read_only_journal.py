"""A journal that is only read, and stays readable when whoever wrote it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from stratum.actors.journal import open_journal
from stratum.actors.read_only_journal import ReadOnlyJournal
from stratum.contracts.errors import JournalUnavailable, UnknownRun
from stratum.contracts.records import RunFinished, RunStarted

STARTED = RunStarted(session="s", name="n", target="f.py:f")


async def test_it_says_what_the_journal_says_while_it_is_written_and_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    reading = ReadOnlyJournal(path)
    async with open_journal(path, session="s") as journal:
        await journal.commit("a", STARTED)
        assert await reading.runs(limit=1) == await journal.runs(limit=1)
        assert (await reading.read("a"), await reading.state("a")) == ([STARTED], "running")
    # It still holds the file open, and SQLite's index of it with that.
    assert path.with_name("stratum.db-shm").exists()
    assert await reading.state("a") == "interrupted"
    async with open_journal(path, session="t") as journal:
        await journal.commit("b", STARTED, RunFinished(state="failed"))
    assert [run.state for run in await reading.runs()] == ["failed", "interrupted"]
    reading.close()
    reading.close()


async def test_what_is_not_there_is_told_and_does_not_keep_it_from_being_read_later(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    reading = ReadOnlyJournal(path)
    with pytest.raises(JournalUnavailable):
        await reading.runs()
    async with open_journal(path, session="s") as journal:
        await journal.commit("a", STARTED)
        with pytest.raises(UnknownRun):
            await reading.read("b")
        assert await reading.read("a") == [STARTED]
        reading.close()
        assert await reading.state("a") == "running"
    reading.close()
