"""What a damaged journal says, and what can be saved from it."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.fakes.journals import PAGE, STARTED, abandoned, contents, edit, log_of, overwrite, released

from stratum.actors import journal_file
from stratum.actors.journal import open_journal
from stratum.actors.journal_check import accept_journal, verify_journal
from stratum.actors.journal_export import Exported, export_journal
from stratum.actors.journal_file import check_nothing_lost, open_read_only
from stratum.actors.journal_schema import APPLICATION_ID, MIGRATIONS, migrate
from stratum.actors.journal_watermark import read_watermark, watermark_path
from stratum.contracts.errors import JournalCorrupt, JournalError, JournalUnavailable

WAL_HEADER = 32
WAL_FRAME = 24 + PAGE


def garble_a_log_frame(path: Path) -> None:
    overwrite(log_of(path), at=WAL_HEADER + 3 * WAL_FRAME + 100, with_bytes=os.urandom(64))


def cut_the_log(path: Path) -> None:
    os.truncate(log_of(path), log_of(path).stat().st_size // 2)


def empty_the_log(path: Path) -> None:
    os.truncate(log_of(path), 0)


def remove_the_log(path: Path) -> None:
    log_of(path).unlink()


def cut_the_database(path: Path) -> None:
    log_of(path).unlink()
    os.truncate(path, path.stat().st_size // 2 // PAGE * PAGE)


def empty_the_database(path: Path) -> None:
    os.truncate(path, 0)


def remove_the_database(path: Path) -> None:
    path.unlink()


def garble_the_header(path: Path) -> None:
    overwrite(path, at=0, with_bytes=os.urandom(100))
    log_of(path).unlink()


def remove_the_side_file(path: Path) -> None:
    watermark_path(path).unlink()


def garble_the_side_file(path: Path) -> None:
    watermark_path(path).write_text("not a number")


def restore_an_old_backup(path: Path) -> None:
    older = path.parent.parent / "s1"
    for name in ("stratum.db", "stratum.db-wal"):
        (path.parent / name).write_bytes((older / name).read_bytes())


LOSSES = [
    garble_a_log_frame,
    cut_the_log,
    empty_the_log,
    remove_the_log,
    cut_the_database,
    empty_the_database,
    remove_the_database,
    garble_the_header,
    remove_the_side_file,
    garble_the_side_file,
    restore_an_old_backup,
]
"""Each loses acknowledged records, or the knowledge of how many there were."""
UNREADABLE = [cut_the_database, empty_the_database, garble_the_header]


@pytest.mark.parametrize("damage", LOSSES)
async def test_loss_is_noticed_on_opening_and_nothing_is_touched(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """FACTS: a WAL frame overwritten with garbage leaves 1 of 30 rows, and integrity_check says ok."""
    path = await abandoned(tmp_path)
    damage(path)
    before = contents(path.parent)
    with pytest.raises(JournalCorrupt, match="`stratum journal export`.*`stratum journal accept`"):
        async with open_journal(path, session="s3"):
            pass
    assert contents(path.parent) == before


async def test_what_a_killed_process_left_opens_and_is_whole(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    assert log_of(path).stat().st_size > 0
    async with open_journal(path, session="s3") as journal:
        assert len(await journal.read("old")) == len(await journal.read("new")) == 201
    assert verify_journal(path).faults == ()


async def test_the_message_counts_what_is_missing(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    remove_the_log(path)
    with pytest.raises(JournalCorrupt, match="201 acknowledged records are missing: it ends at 201 of 402"):
        async with open_journal(path, session="s3"):
            pass


@pytest.mark.parametrize("damage", [damage for damage in LOSSES if damage not in UNREADABLE])
async def test_accepting_a_loss_makes_the_journal_usable_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = await abandoned(tmp_path)
    damage(path)
    accepted = accept_journal(path)
    assert accepted.now == read_watermark(path)
    assert accepted.before in (None, 402)
    async with open_journal(path, session="s3") as journal:
        await journal.commit("next", STARTED)
        assert await journal.read("next") == [STARTED]
    assert verify_journal(path).faults == ()


@pytest.mark.parametrize("damage", [cut_the_database, garble_the_header])
async def test_a_file_that_cannot_be_read_cannot_be_accepted(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = await abandoned(tmp_path)
    damage(path)
    with pytest.raises(JournalCorrupt, match="the file is damaged"):
        accept_journal(path)
    assert read_watermark(path) == 402


async def test_an_emptied_database_is_accepted_as_empty(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    empty_the_database(path)
    assert accept_journal(path).now == 0
    async with open_journal(path, session="s3") as journal:
        assert await journal.runs() == []


async def test_a_backup_made_while_the_journal_is_in_use_opens_as_it_is(tmp_path: Path) -> None:
    path, copy = tmp_path / "live" / "stratum.db", tmp_path / "copy" / "stratum.db"
    copy.parent.mkdir()
    async with open_journal(path, session="s") as journal:
        await journal.commit("r", STARTED)
        shutil.copy(watermark_path(path), watermark_path(copy))
        await journal.commit("r", released(1))
        with closing(open_read_only(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        await journal.commit("r", released(2))
    async with open_journal(copy, session="s") as journal:
        assert await journal.read("r") == [STARTED, released(1)]


def test_accepting_where_there_is_no_journal_creates_none(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="there is no journal"):
        accept_journal(tmp_path / "stratum.db")
    assert list(tmp_path.iterdir()) == []


def export(path: Path) -> tuple[Exported, list[dict[str, object]]]:
    out = io.BytesIO()
    exported = export_journal(path, out)
    return exported, [msgspec.json.decode(line, type=dict[str, object]) for line in out.getvalue().splitlines()]


async def test_export_writes_every_record_as_a_line(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    before = contents(path.parent)
    exported, lines = export(path)
    assert (exported.records, exported.runs, exported.broken) == (402, 2, {})
    assert [line["n"] for line in lines if line["run"] == "new"] == list(range(1, 202))
    assert lines[1]["record"] == {"kind": "released", "reservation": "r0", "reason": "a test"}
    assert lines[1].keys() == {"run", "n", "at", "hash", "record"}
    assert contents(path.parent) == before


async def test_export_saves_what_a_damaged_log_left(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    garble_a_log_frame(path)
    before = contents(path.parent)
    _, saved = export(path)
    assert 201 <= len(saved) < 402
    assert contents(path.parent) == before


async def test_export_steps_over_a_damaged_page(tmp_path: Path) -> None:
    path = await abandoned(tmp_path, records=2000)
    async with open_journal(path, session="s3"):
        pass  # closing moves the log into the database
    page = path.read_bytes().index(b'"r555"') // PAGE
    overwrite(path, at=page * PAGE, with_bytes=b"\xff" * PAGE)
    exported, saved = export(path)
    assert 1900 < exported.records < 2002
    assert len(exported.broken) == 1
    assert {line["run"] for line in saved if "sound" in line} == set(exported.broken)
    faults = verify_journal(path).faults
    assert any("cannot be read" in fault for fault in faults)
    assert any("is missing or altered" in fault for fault in faults)


async def test_export_keeps_lines_whole_when_a_body_is_not_json_any_more(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    edit(path, "UPDATE _records SET body = 'not\n{json' WHERE seq = 5")
    _, saved = export(path)
    assert saved[4]["record"] == "not\n{json"
    assert saved[4]["sound"] is False
    assert len(saved) == 402


@pytest.mark.parametrize("look", [verify_journal, export])
@pytest.mark.parametrize("damage", [remove_the_database, empty_the_database, garble_the_header])
async def test_a_file_with_nothing_to_read_says_so(
    tmp_path: Path, damage: Callable[[Path], None], look: Callable[[Path], object]
) -> None:
    path = await abandoned(tmp_path)
    damage(path)
    before = contents(path.parent)
    with pytest.raises(JournalError, match=r"stratum\.db: .*; "):
        look(path)
    assert contents(path.parent) == before


async def test_verify_finds_loss_alteration_and_gaps(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    verdict = verify_journal(path)
    assert (verdict.records, verdict.runs, verdict.faults) == (402, 2, ())
    edit(path, "DELETE FROM _records WHERE seq IN (7, 8, 402); UPDATE _records SET at = 0 WHERE seq = 300")
    verdict = verify_journal(path)
    assert verdict.faults == (
        "1 acknowledged records are missing: it ends at 401 of 402",
        "records 7 to 8 cannot be read",
        "run old: record 7 is missing or altered",
        "run new: record 99 is missing or altered",
    )


async def test_verify_says_what_sqlite_finds(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    edit(
        path,
        "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'UNIQUE (run, n)', 'UNIQUE (run, at)') WHERE name = '_records'",
    )
    assert any(fault.startswith("SQLite finds: ") for fault in verify_journal(path).faults)


async def test_the_last_page_damaged_leaves_the_rest_to_be_saved(tmp_path: Path) -> None:
    path = await abandoned(tmp_path)
    edit(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    page = path.read_bytes().rindex(b'"reservation":"r199"') // PAGE
    overwrite(path, at=page * PAGE, with_bytes=b"\xff" * PAGE)
    exported, _ = export(path)
    assert 300 < exported.records < 402
    assert any("SQLite finds" in fault for fault in verify_journal(path).faults)
    with pytest.raises(JournalCorrupt, match="the file is damaged"):
        accept_journal(path)
    garble_the_side_file(path)
    assert export(path)[0].records == exported.records


async def test_a_side_file_made_while_one_looked_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await abandoned(tmp_path)
    looks: Iterator[int | None] = iter([None, 402])

    def look(_: Path) -> int | None:
        return next(looks)

    monkeypatch.setattr(journal_file, "read_watermark", look)
    check_nothing_lost(path)


async def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    edit(path, "CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(JournalUnavailable, match="not a Stratum journal; name another file"):
        async with open_journal(path, session="s"):
            pass
    assert path.read_bytes() == before


async def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    async with open_journal(path, session="s") as journal:
        await journal.commit("r", STARTED)
    edit(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(JournalUnavailable, match="written by a newer Stratum .*pip install --upgrade"):
        async with open_journal(path, session="s"):
            pass
    assert path.read_bytes() == before


def test_migrating_keeps_what_is_there_and_happens_once() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, "j")
    connection.execute("INSERT INTO _runs VALUES ('r', 'n', 't', 's', NULL, 'failed', '', 1, 2, 0)")
    later = (*MIGRATIONS, ("ALTER TABLE _runs ADD COLUMN priority INTEGER", "UPDATE _runs SET priority = 7"))
    for _ in range(2):
        migrate(connection, "j", migrations=later)
    assert connection.execute("SELECT run, priority FROM _runs").fetchall() == [("r", 7)]
    assert connection.execute("SELECT run_id FROM runs").fetchall() == [("r",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()


def test_a_migration_that_fails_half_way_changes_nothing() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, "j")
    before = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    broken = (*MIGRATIONS, ("ALTER TABLE _runs ADD COLUMN priority INTEGER",), ("DROP TABLE _records", "nonsense"))
    with pytest.raises(sqlite3.OperationalError, match="nonsense"):
        migrate(connection, "j", migrations=broken)
    assert connection.execute("SELECT sql FROM sqlite_master").fetchall() == before
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


async def test_records_written_behind_the_sessions_back_end_it(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    with pytest.raises(JournalUnavailable, match="also written by somebody else"):
        async with open_journal(path, session="s") as journal:
            await journal.commit("r", STARTED)
            edit(
                path, "INSERT INTO _records SELECT seq + 1, run, n + 1, kind, call, at, body, NULL, hash FROM _records"
            )
            await journal.commit("r", released(1))
