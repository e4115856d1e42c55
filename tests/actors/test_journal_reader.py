"""The reader: everything can be asked, nothing changed, and nothing runs for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from tests.fakes.journals import STARTED, contents, released, whole_run

from stratum.actors.journal import open_journal
from stratum.actors.journal_reader import Reader, open_reader
from stratum.contracts.errors import JournalCorrupt, JournalUnavailable, QueryFailed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "stratum.db"

    async def fill() -> None:
        async with open_journal(path, session="s") as journal:
            journal.append("r", *whole_run())

    trio.run(fill)
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    with open_reader(path, max_steps=2_000_000) as opened:
        yield opened


def test_json_can_be_taken_apart(reader: Reader) -> None:
    assert list(reader.query("SELECT value FROM json_each('[1, 2]')").rows) == [(1,), (2,)]
    assert list(reader.query("SELECT atom FROM json_tree('{\"a\": [3]}') WHERE atom").rows) == [(3,)]
    violations = reader.query("SELECT step_id, attempt, kind, condition, detail FROM violations")
    assert list(violations.rows) == [("1", 1, "ensure", "r.confidence > 0.75", "actual: 0.42")]


def test_a_query_has_columns_and_rows(reader: Reader) -> None:
    answer = reader.query("SELECT run_id, name, state FROM runs WHERE name = ?", ["triage"])
    assert answer.columns == ("run_id", "name", "state")
    assert list(answer.rows) == [("r", "triage", "failed")]


def test_columns_of_a_view_can_be_listed(reader: Reader) -> None:
    assert ("run_id",) in list(reader.query("SELECT name FROM pragma_table_info('steps')").rows)
    assert next(reader.query("PRAGMA table_info(runs)").rows)[1] == "run_id"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM _records",
        "UPDATE _runs SET state = 'succeeded'",
        "INSERT INTO _records SELECT * FROM _records",
        "DROP VIEW runs",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t AS SELECT * FROM runs",
        "ALTER TABLE _runs RENAME TO x",
        "ATTACH ':memory:' AS other",
        "ATTACH '/tmp/stratum-test-escape.db' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'stolen.db'",
        "REINDEX",
        "ANALYZE",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA writable_schema = ON",
        "PRAGMA user_version = 9",
        "SELECT load_extension('/tmp/evil.so')",
        "CREATE VIRTUAL TABLE t USING fts5(x)",
        "CREATE TRIGGER t AFTER INSERT ON _records BEGIN SELECT 1; END",
        "EXPLAIN DELETE FROM _records",
        "WITH x AS (SELECT 1) DELETE FROM _records",
        "SELECT 1; DELETE FROM _records",
        "",
        "-- nothing",
        "SELECT * FROM dbstat",
        "not SQL",
        "SELECT nothing FROM runs",
        "SELECT * FROM nowhere",
    ],
)
def test_everything_but_one_select_is_refused(
    path: Path, reader: Reader, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    before = contents(path.parent)
    with pytest.raises(QueryFailed, match=r"stratum\.db: .+; .+"):
        list(reader.query(sql).rows)
    assert contents(path.parent) == before
    assert not (path.parent / "stolen.db").exists()
    assert list(reader.query("SELECT count(*) FROM records").rows) == [(len(whole_run()),)]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "SELECT count(*) FROM records a, records b, records c, records d, records e",
    ],
)
def test_a_query_that_runs_away_is_stopped(reader: Reader, sql: str) -> None:
    with pytest.raises(QueryFailed, match="took too long and was stopped; narrow it"):
        list(reader.query(sql).rows)
    assert list(reader.query("SELECT 1").rows) == [(1,)], "the next one starts afresh"


def test_rows_taken_slowly_are_not_cut_off(reader: Reader) -> None:
    rows = reader.query("SELECT n FROM records").rows
    for _ in range(3):
        next(rows)
    assert len(list(rows)) == len(whole_run()) - 3


@pytest.mark.parametrize("sql", ["SELECT zeroblob(1000000000)", "SELECT hex(zeroblob(100000000))"])
def test_a_query_cannot_take_a_gigabyte(reader: Reader, sql: str) -> None:
    with pytest.raises(QueryFailed, match="string or blob too big"):
        list(reader.query(sql).rows)


async def test_a_reader_sees_what_a_writer_commits(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    async with open_journal(path, session="s") as journal:
        with open_reader(path) as reader:
            await journal.commit("r", STARTED)
            assert list(reader.query("SELECT count(*) FROM records").rows) == [(1,)]
            await journal.commit("r", released(1))
            assert list(reader.query("SELECT count(*) FROM records").rows) == [(2,)]
            assert not reader.partial


async def test_rows_half_taken_do_not_hold_up_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    async with open_journal(path, session="s") as journal:
        await journal.commit("r", STARTED, *map(released, range(500)))
        with open_reader(path) as reader:
            rows = reader.query("SELECT n FROM records").rows
            next(rows)
            await journal.commit("r", released(501))
            assert len(list(rows)) == 500


def test_where_there_is_no_journal_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable), open_reader(tmp_path / "stratum.db"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(JournalCorrupt), open_reader(path):
        pass
