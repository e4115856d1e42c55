"""The journal: order, durability, ownership, the hash chain."""

from __future__ import annotations

import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.journals import STARTED, SUCCEEDED, edit, number_of, released, whole_run
from trio.testing import MockClock, wait_all_tasks_blocked

from stratum.actors.journal import BACKLOG_BYTES, Journal, Ticket, open_journal
from stratum.actors.journal_file import open_file, open_read_only
from stratum.actors.journal_store import MAX_BODY_BYTES, Store, entry
from stratum.actors.journal_watermark import read_watermark
from stratum.contracts.errors import JournalCorrupt, JournalUnavailable, RunLocked, UnknownRun
from stratum.contracts.records import Answered, GateOpened, Record, RunFinished, RunResumed


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param == "memory" else tmp_path / ".stratum" / "stratum.db"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".stratum" / "stratum.db"


def on_disk(file: Path) -> int:
    with closing(open_read_only(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM _records").fetchone()[0])


async def test_what_was_appended_is_read_back_in_order(path: Path | None) -> None:
    records = whole_run()
    async with open_journal(path, session="s") as journal:
        for record in records:
            journal.append("r", record)
        assert msgspec.json.encode(await journal.read("r")) == msgspec.json.encode(records)


async def test_it_is_still_there_in_the_next_session(file: Path) -> None:
    async with open_journal(file, session="s1") as journal:
        journal.append("r", STARTED, released(1))
    async with open_journal(file, session="s2") as journal:
        assert await journal.read("r") == [STARTED, released(1)]


async def test_a_commit_is_on_disk_and_acknowledged_when_it_returns(file: Path) -> None:
    async with open_journal(file, session="s") as journal:
        await journal.commit("r", STARTED, released(1), released(2))
        assert on_disk(file) == 3
        assert read_watermark(file) == 3


def test_every_commit_reaches_the_disk_before_it_is_acknowledged(file: Path) -> None:
    """FACTS: NORMAL loses acknowledged commits when the power fails, FULL does not."""
    full = 2
    with closing(open_file(file, "s")) as opened:
        assert opened.connection.execute("PRAGMA synchronous").fetchone() == (full,)
        assert opened.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_only_the_living_ask_about_does_not_wait_for_the_disk_and_records_do(file: Path) -> None:
    said: list[str] = []
    with closing(open_file(file, "s")) as opened:
        store = Store(opened.connection, session="s", alive="s".__eq__)
        store.write([entry("r", STARTED), entry("r", SUCCEEDED)])

        def synced(work: Callable[[], object]) -> set[bool]:
            """Whether what it writes is."""
            said.clear()
            opened.connection.set_trace_callback(said.append)
            work()
            opened.connection.set_trace_callback(None)
            unsynced, found = False, set[bool]()
            for sql in said:
                if sql.startswith("PRAGMA"):
                    unsynced = sql == "PRAGMA synchronous = NORMAL"
                elif sql.startswith(("INSERT", "UPDATE")):
                    found.add(not unsynced)
            return found

        def refused() -> None:
            with pytest.raises(RunLocked):
                store.claim("r")

        for _ in range(2):
            assert synced(lambda: store.claim("r")) == {False}
            assert synced(refused) == set()
            assert synced(lambda: store.release("r")) == {False}
            assert synced(lambda: store.hold("h", 1, limit_picousd=1000, first_day="2026-01-01")) == {False}
            assert synced(lambda: store.write([entry("r", RunResumed(session="s"))])) == {True}
            assert opened.connection.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_leaving_the_block_waits_for_what_was_appended(file: Path) -> None:
    async with open_journal(file, session="s") as journal:
        journal.append("r", STARTED)
        for number in range(2000):
            journal.append("r", released(number))
    assert on_disk(file) == 2001


async def test_a_cancelled_wait_retracts_nothing(file: Path) -> None:
    async with open_journal(file, session="s") as journal:
        ticket = journal.append("r", STARTED)
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.durable(ticket)
        assert scope.cancelled_caught
        assert await journal.read("r") == [STARTED]


async def test_waits_end_in_any_order_they_were_begun(file: Path) -> None:
    async with open_journal(file, session="s") as journal:
        tickets = [journal.append("r", STARTED), *(journal.append("r", released(number)) for number in range(50))]
        async with trio.open_nursery() as nursery:
            for ticket in [*reversed(tickets), *tickets]:
                nursery.start_soon(journal.durable, ticket)
        assert on_disk(file) == 51


async def test_many_producers_share_commits_and_keep_their_order(file: Path) -> None:
    async def produce(journal: Journal, run: str) -> None:
        await journal.commit(run, STARTED)
        for number in range(40):
            await journal.commit(run, released(number))

    async with open_journal(file, session="s") as journal:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(produce, journal, f"r{number}")
        for number in range(20):
            records = await journal.read(f"r{number}")
            assert [number_of(record) for record in records[1:]] == list(range(40))


async def test_the_records_of_one_append_lie_together(file: Path) -> None:
    async def produce(journal: Journal, first: int) -> None:
        for number in range(first, first + 30, 2):
            await journal.commit("r", released(number), released(number + 1))

    async with open_journal(file, session="s") as journal:
        await journal.commit("r", STARTED)
        async with trio.open_nursery() as nursery:
            for first in range(0, 300, 30):
                nursery.start_soon(produce, journal, first)
        numbers = [number_of(record) for record in (await journal.read("r"))[1:]]
    assert sorted(numbers) == list(range(300))
    assert all(odd == even + 1 for even, odd in zip(numbers[::2], numbers[1::2], strict=True))


async def test_a_journal_in_memory_takes_many_records(autojump_clock: MockClock) -> None:
    async with open_journal(None, session="s") as journal:
        journal.append("r", STARTED)
        for number in range(2000):
            journal.append("r", released(number))
        assert [number_of(record) for record in (await journal.read("r"))[1:]] == list(range(2000))


async def test_a_closed_journal_takes_nothing(path: Path | None) -> None:
    async with open_journal(path, session="s") as journal:
        journal.append("r", STARTED)
    with pytest.raises(JournalUnavailable, match="it was closed"):
        journal.append("r", released(1))
    with pytest.raises(JournalUnavailable, match="it was closed"):
        await journal.claim("other")


async def test_a_file_that_vanished_is_reported_by_who_reads(file: Path) -> None:
    async with open_journal(file, session="s") as journal:
        await journal.commit("r", STARTED)
        file.unlink()
        with pytest.raises(JournalUnavailable, match="cannot be"):
            await journal.read("r")


async def test_virtual_time_does_not_pass_while_a_journal_in_memory_commits(autojump_clock: MockClock) -> None:
    async with open_journal(None, session="s") as journal:
        await journal.commit("r", STARTED)
        await trio.sleep(5)
        await journal.commit("r", released(1))
        await journal.read("r")
    assert trio.current_time() == 5.0


async def test_room_is_there_at_once_while_the_disk_keeps_up(path: Path | None) -> None:
    async with open_journal(path, session="s") as journal:
        await journal.commit("r", STARTED)
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.room()
        assert not scope.cancelled_caught


async def test_room_waits_for_a_disk_that_is_far_behind(file: Path) -> None:
    big = Answered(call="1", number=1, body="x" * 2**20)
    async with open_journal(file, session="s") as journal:
        journal.append("r", STARTED)
        for _ in range(BACKLOG_BYTES // 2**20 + 1):
            journal.append("r", big)
        await journal.room()
        assert on_disk(file) == BACKLOG_BYTES // 2**20 + 2


async def test_a_run_that_was_not_started_here_cannot_be_appended_to(path: Path | None) -> None:
    async with open_journal(path, session="s") as journal:
        with pytest.raises(UnknownRun, match="start it, once, or claim it"):
            journal.append("r", released(1))


async def test_a_run_starts_once_and_nothing_follows_its_end(path: Path | None) -> None:
    async with open_journal(path, session="s") as journal:
        journal.append("r", STARTED)
        with pytest.raises(UnknownRun):
            journal.append("r", STARTED)
        journal.append("r", SUCCEEDED)
        with pytest.raises(UnknownRun):
            journal.append("r", released(1))
        assert await journal.read("r") == [STARTED, SUCCEEDED]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ((), "at least one record"),
        ((Answered(call="1", number=1, body="x" * MAX_BODY_BYTES),), "return a path or a digest"),
    ],
)
async def test_what_cannot_be_recorded_is_refused_at_once(records: tuple[Record, ...], message: str) -> None:
    async with open_journal(None, session="s") as journal:
        journal.append("r", STARTED)
        with pytest.raises(ValueError, match=message):
            journal.append("r", *records)
        assert await journal.read("r") == [STARTED]


async def test_reading_a_run_that_is_not_there_says_so(path: Path | None) -> None:
    async with open_journal(path, session="s") as journal:
        with pytest.raises(UnknownRun, match="run r: not in this journal"):
            await journal.read("r")
        with pytest.raises(UnknownRun, match="run r: not in this journal"):
            await journal.claim("r")


async def test_runs_are_listed_with_how_they_stand(file: Path) -> None:
    async with open_journal(file, session="s1") as journal:
        journal.append("done", STARTED, SUCCEEDED)
        journal.append("broke", STARTED, RunFinished(state="failed", error="why"))
        journal.append("cut off", STARTED)
    async with open_journal(file, session="s2") as journal:
        await journal.commit("going on", STARTED)
        states = {run.run: (run.state, run.error) for run in await journal.runs()}
        assert states == {
            "done": ("succeeded", ""),
            "broke": ("failed", "why"),
            "cut off": ("interrupted", ""),
            "going on": ("running", ""),
        }
        assert len(await journal.runs(limit=2)) == 2


async def test_whether_a_run_has_asked_a_person_is_told_of_its_new_records_alone(path: Path | None) -> None:
    async with open_journal(path, session="s") as journal:
        await journal.commit("a", STARTED)
        assert not await journal.has_asked("a")
        await journal.commit("a", GateOpened(call="c", round=1))
        assert await journal.has_asked("a") and await journal.has_asked("a", after=1)
        assert not await journal.has_asked("a", after=2)
        assert not await journal.has_asked("b")


async def test_a_run_belongs_to_one_session_while_that_lives(file: Path) -> None:
    async with open_journal(file, session="s2") as other:
        async with open_journal(file, session="s1") as owner:
            await owner.commit("r", STARTED)
            with pytest.raises(RunLocked, match="another process is running it"):
                await other.claim("r")
            with pytest.raises(RunLocked, match="this session is running it"):
                await owner.claim("r")
        await other.claim("r")
        await other.commit("r", RunResumed(session="s2"), SUCCEEDED)
        assert await other.read("r") == [STARTED, RunResumed(session="s2"), SUCCEEDED]
        await other.verify("r")


async def test_a_finished_run_can_be_claimed_though_its_session_lives(file: Path) -> None:
    async with open_journal(file, session="s1") as one, open_journal(file, session="s2") as two:
        await one.commit("r", STARTED, RunFinished(state="failed"))
        await two.claim("r")
        with pytest.raises(RunLocked):
            await one.claim("r")
        await two.commit("r", RunResumed(session="s2"), SUCCEEDED)
        assert await one.claim("r") == 4
        await one.commit("r", RunResumed(session="s1"), SUCCEEDED)
        assert len(await one.read("r")) == 6


async def test_a_released_run_is_free_and_stands_as_before(file: Path) -> None:
    async with open_journal(file, session="s1") as one, open_journal(file, session="s2") as two:
        await one.commit("r", STARTED, SUCCEEDED)
        await two.claim("r")
        await two.commit("r", released(1))
        await two.release("r")
        with pytest.raises(UnknownRun):
            two.append("r", released(2))
        await one.claim("r")
        assert [run.state for run in await one.runs()] == ["succeeded"]


async def test_two_sessions_write_one_file_at_the_same_time(file: Path) -> None:
    async def produce(journal: Journal, run: str) -> None:
        await journal.commit(run, STARTED)
        for number in range(60):
            await journal.commit(run, released(number))

    async with open_journal(file, session="s1") as one, open_journal(file, session="s2") as two:
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(produce, one, f"one{number}")
                nursery.start_soon(produce, two, f"two{number}")
        for number in range(5):
            await one.verify(f"two{number}")
            await two.verify(f"one{number}")
    assert on_disk(file) == read_watermark(file) == 10 * 61


async def test_a_session_name_is_taken_while_it_lives(file: Path) -> None:
    async with open_journal(file, session="s"):
        with pytest.raises(ValueError, match="'s' is already open"):
            async with open_journal(file, session="s"):
                pass
    async with open_journal(file, session="s"):
        pass


@pytest.mark.parametrize("session", ["", "../evil", "a/b", "a\n", "-", "x" * 101, "é"])
async def test_a_session_name_that_is_no_file_name_is_refused(file: Path, session: str) -> None:
    with pytest.raises(ValueError, match="use up to 100 letters"):
        async with open_journal(file, session=session):
            pass


async def test_only_its_user_can_read_a_journal(file: Path) -> None:
    async with open_journal(file, session="s") as journal:
        await journal.commit("r", STARTED)
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [file.parent, *file.parent.rglob("*")]}
    assert {path.name: mode for path, mode in modes.items() if not path.is_dir() and mode != 0o600} == {}
    assert {path.name: mode for path, mode in modes.items() if path.is_dir() and mode != 0o700} == {}
    assert len(modes) >= 6, "the database, its log and index, the side file, the session's lock and two folders"


async def test_a_folder_that_is_already_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with open_journal(tmp_path / "stratum.db", session="s"):
        pass
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE _records SET body = replace(body, 'r1', 'r9') WHERE n = 2",
        "UPDATE _records SET at = at + 1 WHERE n = 2",
        "UPDATE _records SET kind = 'settled' WHERE n = 2",
        "DELETE FROM _records WHERE n = 2",
        "DELETE FROM _records WHERE n = 2; UPDATE _records SET n = n - 1 WHERE n > 2",
        "UPDATE _records SET run = 'other' WHERE run = 'r' AND n = 1",
        "UPDATE _records SET hash = zeroblob(32) WHERE n = 1",
        "INSERT INTO _records SELECT seq + 100, run, 5, kind, call, at, body, body_digest, hash FROM _records WHERE n = 4",
    ],
)
async def test_a_record_that_was_altered_moved_or_removed_breaks_the_chain(file: Path, damage: str) -> None:
    async with open_journal(file, session="s") as journal:
        journal.append("r", STARTED, *map(released, range(1, 4)))
        await journal.verify("r")
    edit(file, damage)
    async with open_journal(file, session="s") as journal:
        for look in (journal.verify, journal.read):
            with pytest.raises(JournalCorrupt, match=r"record \d is missing or altered.*journal export"):
                await look("other" if "other" in damage else "r")


@given(
    appends=st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(st.text(max_size=20), min_size=1, max_size=5)), max_size=40
    )
)
def test_every_run_reads_as_it_was_appended_however_runs_interleave(appends: list[tuple[str, list[str]]]) -> None:
    async def main() -> None:
        expected: dict[str, list[Record]] = {}
        async with open_journal(None, session="s") as journal:
            for run, texts in appends:
                records: list[Record] = [Answered(call="1", number=1, body=text) for text in texts]
                if run not in expected:
                    records.insert(0, STARTED)
                expected.setdefault(run, []).extend(records)
                journal.append(run, *records)
            for run, records in expected.items():
                assert await journal.read(run) == records
                await journal.verify(run)

    trio.run(main)


async def test_a_thousand_waits_cancelled_leave_the_journal_working(file: Path) -> None:
    async with open_journal(file, session="s") as journal:
        await journal.commit("r", STARTED)

        async def give_up(ticket: Ticket) -> None:
            with trio.CancelScope() as scope:
                scope.cancel()
                await journal.durable(ticket)

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(give_up, journal.append("r", released(number)))
        assert len(await journal.read("r")) == 1001


async def test_a_supervised_journal_waits_quietly_while_it_works(path: Path | None) -> None:
    async with open_journal(path, session="s") as journal, trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        await wait_all_tasks_blocked()
        await journal.commit("r", STARTED)
        nursery.cancel_scope.cancel()
