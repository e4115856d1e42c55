"""The cache's file: read-only, damaged, locked, or shared by processes, it never fails a call."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from tests.fakes.forks import Forks, open_forks
from trio.testing import MockClock

from stratum.actors import answer_cache
from stratum.actors.answer_cache import AnswerCache

NOBODY = 65534
UNREADABLE = "; until it can be, or is removed, what it has is asked for anew"
UNWRITABLE = "; until it can be, or is removed, answers are not kept"


@pytest.fixture(scope="module")
def process() -> Iterator[Forks]:
    with open_forks("tests.fakes.answer_process") as opened:
        yield opened


@pytest.fixture(scope="module")
def other_process() -> Iterator[Forks]:
    with open_forks("tests.fakes.answer_process") as opened:
        yield opened


@pytest.fixture
def file() -> Iterator[Path]:
    """In a folder that users other than the one who runs the tests can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "answers.db"
        Path(folder).chmod(0o755)


async def asked(cache: AnswerCache, key: str, answer: bytes = b"new") -> bytes | None:
    """What is kept; else `answer` is, from now on."""
    async with cache.turn(key) as kept:
        if kept is None:
            await cache.keep(key, answer)
        return kept


def keys_in(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {key for (key,) in connection.execute("SELECT key FROM answers")}


async def test_what_one_session_kept_another_finds(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert await asked(AnswerCache(file), "k", b"one") is None
    assert await asked(AnswerCache(file), "k", b"two") == b"one"
    assert caplog.messages == []


@pytest.mark.parametrize("folder_too", [False, True])
def test_a_read_only_file_is_read_and_nothing_is_added(process: Forks, file: Path, folder_too: bool) -> None:
    trio.run(asked, AnswerCache(file), "old", b"old")
    before = file.read_bytes()
    file.chmod(0o444)
    if folder_too:
        file.parent.chmod(0o555)
    # File modes do not bind root: the child becomes somebody whom they do.
    user = NOBODY if os.geteuid() == 0 else 0
    lines = process.run("ask", path=str(file), user=user, keys=["old", "new", "new", "newer"])

    (log,) = [line for line in lines if line.startswith("log ")]
    assert f"{file} cannot be written: " in log and log.endswith(UNWRITABLE)
    assert [line for line in lines if line != log] == ["old old", "new asked", "new new", "newer asked", "end 0"]
    assert file.read_bytes() == before


def test_an_unreadable_file_is_a_miss_that_is_told_once(process: Forks, file: Path) -> None:
    trio.run(asked, AnswerCache(file), "old", b"old")
    file.chmod(0o000)
    lines = process.run("ask", path=str(file), user=NOBODY if os.geteuid() == 0 else 0, keys=["old", "old", "new"])

    logs = [line for line in lines if line.startswith("log ")]
    assert [log.endswith(fix) for log, fix in zip(logs, [UNREADABLE, UNWRITABLE], strict=True)] == [True, True]
    assert [line for line in lines if line not in logs] == ["old asked", "old old", "new asked", "end 0"]


DAMAGED = {
    "no database": b"no database" * 100,
    "the beginning of one": b"SQLite format 3\0",
    "one of another program": None,
}


@pytest.mark.parametrize("damage", DAMAGED)
async def test_a_damaged_file_is_a_miss_that_is_told_once_and_left_as_it_is(
    damage: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if (content := DAMAGED[damage]) is not None:
        file.write_bytes(content)
    else:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE answers (question TEXT)")
    before = file.read_bytes()
    cache = AnswerCache(file)
    assert [await asked(cache, key) for key in ("a", "b", "a")] == [None, None, b"new"]

    assert [message.endswith((UNREADABLE, UNWRITABLE)) for message in caplog.messages] == [True, True]
    assert file.read_bytes() == before


async def test_pages_that_were_overwritten_are_a_miss(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(50):
        await asked(AnswerCache(file), f"k{number}", b"x" * 1000)
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(os.urandom(file.stat().st_size - 4096))
    found = [await asked(AnswerCache(file), f"k{number}") for number in range(50)]

    assert set(found) <= {None, b"x" * 1000}
    assert None in found
    assert "cannot be read" in caplog.text


async def test_a_folder_in_its_place_is_a_miss(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.mkdir()
    cache = AnswerCache(file)
    assert [await asked(cache, "a"), await asked(cache, "a")] == [None, b"new"]
    assert len(caplog.messages) == 2


def test_processes_that_share_a_new_file_lose_nothing(process: Forks, other_process: Forks, file: Path) -> None:
    shared = [f"both{number}" for number in range(40)]
    mine, theirs = ([f"{name}{number}" for number in range(40)] for name in ("mine", "theirs"))
    process.start("ask", path=str(file), user=0, keys=[*shared, *mine])
    other_process.start("ask", path=str(file), user=0, keys=[*shared, *theirs])
    said = [process.rest(), other_process.rest()]

    assert [lines[-1] for lines in said] == ["end 0", "end 0"]
    assert not [line for lines in said for line in lines if line.startswith("log ")]
    assert keys_in(file) == {*shared, *mine, *theirs}
    again = process.run("ask", path=str(file), user=0, keys=[*shared, *theirs])
    assert not [line for line in again if line.endswith("asked")]


def test_a_process_that_is_killed_leaves_the_file_sound(process: Forks, file: Path) -> None:
    keys = [f"k{number}" for number in range(2_000)]
    for after in (1, 5, 20):
        process.start("ask", path=str(file), user=0, keys=keys)
        said = [process.line() for _ in range(after)]
        process.kill()
        process.rest()
        assert keys_in(file) >= {line.split()[0] for line in said}
    assert [line for line in process.run("ask", path=str(file), user=0, keys=keys[:1])] == ["k0 k0", "end 0"]


async def test_a_deadline_does_not_wait_for_who_has_the_file_to_himself(
    file: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked(AnswerCache(file), "k")
    monkeypatch.setattr(answer_cache, "_BUSY_S", 3600)
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with trio.move_on_after(1) as deadline:
            await asked(AnswerCache(file), "k")
        with trio.move_on_after(1) as late:
            await AnswerCache(file).keep("k", b"late")
        assert (deadline.cancelled_caught, late.cancelled_caught) == (True, True)


async def test_a_file_that_stays_locked_is_a_miss(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await asked(AnswerCache(file), "k", b"old")
    monkeypatch.setattr(answer_cache, "_BUSY_S", 0.01)
    cache = AnswerCache(file)
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert await asked(cache, "k", b"new") is None
    assert [message.split(": ")[1].split(";")[0] for message in caplog.messages] == ["database is locked"] * 2
    assert await asked(cache, "k") == b"new"
    assert await asked(AnswerCache(file), "k") == b"old"
