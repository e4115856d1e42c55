"""The journal among processes: kills, a full disk, a read-only folder, two writers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from tests.fakes.forks import Forks, open_forks
from tests.fakes.journal_kills import NEVER, kill_repeatedly
from tests.fakes.journals import STARTED, abandoned

from stratum.actors.journal import open_journal
from stratum.actors.journal_check import verify_journal
from stratum.actors.journal_reader import open_reader
from stratum.contracts.errors import RunLocked

NOBODY = 65534


@pytest.fixture(scope="module")
def process() -> Iterator[Forks]:
    with open_forks("tests.fakes.journal_process") as opened:
        yield opened


@pytest.fixture(scope="module")
def other_process() -> Iterator[Forks]:
    with open_forks("tests.fakes.journal_process") as opened:
        yield opened


def test_thirty_kills_lose_nothing_that_was_acknowledged(process: Forks, tmp_path: Path) -> None:
    """CASES F18."""
    assert kill_repeatedly(process, tmp_path / "stratum.db", kills=30, seed=1) == []


@pytest.mark.parametrize(
    ("mutant", "found"),
    [("acknowledge_at_once", "acknowledged"), ("commit_one_by_one", "half an append was committed")],
)
def test_the_kills_would_catch_a_journal_that_breaks_its_promise(
    process: Forks, tmp_path: Path, mutant: str, found: str
) -> None:
    """FACTS: a crash harness is worth what it catches."""
    (wrong, *_) = kill_repeatedly(process, tmp_path / "stratum.db", kills=100, seed=1, mutant=mutant)
    assert found in wrong


def test_a_killed_owners_run_can_be_claimed_and_a_living_ones_cannot(process: Forks, tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"

    async def claim() -> None:
        async with open_journal(path, session="other") as journal:
            await journal.claim("r")

    process.start("produce", path=str(path), session="owner", run="r", limit=NEVER)
    while not process.line().startswith("ack "):
        pass
    with pytest.raises(RunLocked, match="another process is running it; wait for it, or stop it with `stratum cancel`"):
        trio.run(claim)
    process.kill()
    process.rest()
    trio.run(claim)


def test_two_processes_write_one_file_and_lose_nothing(process: Forks, other_process: Forks, tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    process.start("produce", path=str(path), session="s1", run="one", limit=600)
    other_process.start("produce", path=str(path), session="s2", run="two", limit=600)
    assert process.rest()[-1] == other_process.rest()[-1] == "end 0"
    verdict = verify_journal(path)
    # Three tasks each, so that up to two pairs beyond the limit are under way when it is reached.
    assert (verdict.runs, verdict.faults) == (2, ())
    with open_reader(path) as reader:
        counts = list(reader.query("SELECT run_id, count(*) FROM records WHERE kind = 'released' GROUP BY 1").rows)
    assert counts == [("one", 602), ("two", 602)]


def test_one_writer_killed_does_not_hold_up_the_other(process: Forks, other_process: Forks, tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    other_process.start("produce", path=str(path), session="survivor", run="whole", limit=2000)
    for number in range(5):
        process.start("produce", path=str(path), session=f"s{number}", run=f"r{number}", limit=NEVER)
        while not process.line().startswith("ack "):
            pass
        process.kill()
        process.rest()
    lines = other_process.rest()
    assert lines[-1] == "end 0"
    assert sum(line.startswith("ack ") for line in lines) == 1001
    assert verify_journal(path).faults == ()


def test_a_full_disk_stops_the_work_and_keeps_what_was_acknowledged(process: Forks, tmp_path: Path) -> None:
    """No call without a durable reservation: every waiter hears of it, and the supervisor too."""
    path = tmp_path / "stratum.db"
    lines = process.run("fill", path=str(path), session="s1", run="r", file_bytes=150_000)
    acks = [line for line in lines if line.startswith("ack ")]
    assert acks
    assert "supervisor: JournalUnavailable" in lines
    assert any("no space left" in line and "then resume the run" in line for line in lines)
    assert lines[-1] == "end 0"
    assert verify_journal(path).faults == ()
    with open_reader(path) as reader:
        ((kept,),) = reader.query("SELECT count(*) FROM records WHERE kind = 'released'").rows
    assert isinstance(kept, int)
    assert kept >= len(acks)


def test_a_disk_full_from_the_start_says_so(process: Forks, tmp_path: Path) -> None:
    lines = process.run("fill", path=str(tmp_path / "stratum.db"), session="s1", run="r", file_bytes=1000)
    assert any(line.startswith("JournalUnavailable: ") and "no space left" in line for line in lines)


@pytest.fixture
def anyones_folder() -> Iterator[Path]:
    """A folder that users other than the one who runs the tests can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_read_only_folder_is_refused_for_writing(process: Forks, anyones_folder: Path) -> None:
    anyones_folder.chmod(0o555)
    # File modes do not bind root: the child becomes somebody whom they do.
    user = NOBODY if os.geteuid() == 0 else 0
    lines = process.run("open_as", path=str(anyones_folder / "stratum.db"), session="s", user=user)
    assert len(lines) == 2
    assert lines[0].startswith(f"JournalUnavailable: {anyones_folder}/stratum.db: it cannot be written")
    assert "set another with STRATUM_JOURNAL" in lines[0]


def test_a_read_only_journal_is_refused_for_writing_and_can_be_asked(process: Forks, anyones_folder: Path) -> None:
    """FACTS: WAL reads fail on a read-only directory; `immutable=1` reads."""
    user = NOBODY if os.geteuid() == 0 else 0
    path = anyones_folder / "j" / "stratum.db"

    async def fill() -> None:
        async with open_journal(path, session="s") as journal:
            await journal.commit("r", STARTED)

    trio.run(fill)
    for name in (path, path.parent / "stratum.db.acknowledged", path.parent / "sessions"):
        name.chmod(0o555)
    path.parent.chmod(0o555)
    lines = process.run("open_as", path=str(path), session="s2", user=user)
    assert lines[0].startswith("JournalUnavailable: ")
    assert "it cannot be written" in lines[0]
    assert process.run("ask_as", path=str(path), user=user) == ["(1, False)", "end 0"]
    path.parent.chmod(0o755)


def test_a_reader_in_a_read_only_folder_says_that_the_log_is_out_of_sight(process: Forks, anyones_folder: Path) -> None:
    user = NOBODY if os.geteuid() == 0 else 0
    path = trio.run(lambda: abandoned(anyones_folder))
    for file in path.parent.rglob("*"):
        file.chmod(0o555)
    (path.parent / "stratum.db-shm").unlink()
    path.parent.chmod(0o555)
    assert process.run("ask_as", path=str(path), user=user) == ["(201, True)", "end 0"]
    path.parent.chmod(0o755)
