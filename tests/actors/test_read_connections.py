"""Connections that are kept between reads."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.fakes.journals import STARTED

from stratum.actors.journal import open_journal
from stratum.actors.read_connections import ReadConnections


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    async with open_journal(tmp_path / "j.db", session="s") as journal:
        await journal.commit("r", STARTED)
    return tmp_path / "j.db"


def records(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM _records").fetchone()[0])


async def test_one_is_used_again_and_sees_what_was_written_since(file: Path) -> None:
    reads = ReadConnections(file)
    with reads.one() as first:
        assert records(first) == 1
    async with open_journal(file, session="t") as journal:
        await journal.commit("other", STARTED)
    with reads.one() as second:
        assert second is first
        assert records(second) == 2
    reads.close()


async def test_nobody_shares_one_and_few_are_kept(file: Path) -> None:
    reads = ReadConnections(file)
    with reads.one() as a, reads.one() as b, reads.one() as c:
        assert len({id(a), id(b), id(c)}) == 3
    with reads.one() as first, reads.one() as second, reads.one() as third:
        kept = {id(a), id(b), id(c)} & {id(first), id(second), id(third)}
        assert len(kept) == 2
    reads.close()


async def test_after_an_error_a_connection_is_not_used_again(file: Path) -> None:
    reads = ReadConnections(file)
    with pytest.raises(sqlite3.OperationalError, match="no such table"), reads.one() as first:
        first.execute("SELECT * FROM nobody")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        first.execute("SELECT 1")
    with reads.one() as second:
        assert second is not first
    reads.close()


async def test_closed_it_keeps_none_not_even_those_in_use(file: Path) -> None:
    reads = ReadConnections(file)
    with reads.one() as busy:
        with reads.one() as idle:
            pass
        reads.close()
        assert records(busy) == 1
    for connection in (busy, idle):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_where_there_is_no_journal_sqlite_says_so(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"), ReadConnections(tmp_path / "none").one():
        pass
