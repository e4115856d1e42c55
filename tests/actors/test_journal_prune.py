"""Pruning: what was said is gone, what it cost and that nothing was altered stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.fakes.journals import PAGE, STARTED, SUCCEEDED, edit, overwrite, released, whole_run

from stratum.actors.journal import open_journal
from stratum.actors.journal_check import verify_journal
from stratum.actors.journal_prune import Pruned, prune_journal
from stratum.actors.journal_reader import open_reader
from stratum.contracts.errors import JournalCorrupt, RunError
from stratum.contracts.records import Record, RunFinished

SECRETS = (b"hello", b"0.42", b'"confidence":0.9', b"it broke")


def later() -> datetime:
    return datetime.now(tz=UTC) + timedelta(hours=1)


def spend(records: list[Record]) -> list[int]:
    return [getattr(record, "picousd", 0) for record in records]


async def journal_with_secrets(tmp_path: Path) -> Path:
    path = tmp_path / "stratum.db"
    async with open_journal(path, session="s") as journal:
        await journal.commit("r", *whole_run())
    return path


async def test_what_was_asked_and_answered_is_gone_from_the_disk(tmp_path: Path) -> None:
    path = await journal_with_secrets(tmp_path)
    assert all(secret in path.read_bytes() for secret in SECRETS)
    assert prune_journal(path, ended_before=later()) == Pruned(runs=1, records=5)
    for file in path.parent.glob("stratum.db*"):
        assert [secret for secret in SECRETS if secret in file.read_bytes()] == [], file.name


async def test_money_and_the_chain_stay(tmp_path: Path) -> None:
    path = await journal_with_secrets(tmp_path)
    prune_journal(path, ended_before=later())
    assert verify_journal(path).faults == ()
    async with open_journal(path, session="s2") as journal:
        records = await journal.read("r")
    assert spend(records) == spend(whole_run())
    assert [type(record) for record in records] == [type(record) for record in whole_run()]
    with open_reader(path) as reader:
        assert list(reader.query("SELECT cost_picousd, pruned FROM runs").rows) == [(3_500_000_000, 1)]
        assert list(reader.query("SELECT condition, detail FROM violations").rows) == [("r.confidence > 0.75", "")]


async def test_a_pruned_record_is_still_sealed_by_its_neighbours(tmp_path: Path) -> None:
    path = await journal_with_secrets(tmp_path)
    prune_journal(path, ended_before=later())
    edit(path, "UPDATE _records SET body_digest = zeroblob(32) WHERE n = 1")
    async with open_journal(path, session="s2") as journal:
        with pytest.raises(JournalCorrupt):
            await journal.read("r")


async def test_a_pruned_run_cannot_be_resumed(tmp_path: Path) -> None:
    path = await journal_with_secrets(tmp_path)
    prune_journal(path, ended_before=later())
    async with open_journal(path, session="s2") as journal:
        with pytest.raises(RunError, match="its inputs and results were pruned; start it again, as a new run"):
            await journal.claim("r")


async def test_a_damaged_journal_is_not_pruned(tmp_path: Path) -> None:
    path = await journal_with_secrets(tmp_path)
    async with open_journal(path, session="s2") as journal:
        await journal.commit("more", STARTED, *map(released, range(500)), SUCCEEDED)
    page = path.read_bytes().index(b'"reservation":"r100"') // PAGE
    overwrite(path, at=page * PAGE, with_bytes=b"\xff" * PAGE)
    with pytest.raises(JournalCorrupt, match="the file is damaged"):
        prune_journal(path, ended_before=later())


async def test_only_old_runs_that_nobody_holds_are_pruned(tmp_path: Path) -> None:
    path = await journal_with_secrets(tmp_path)
    async with open_journal(path, session="s2") as journal:
        await journal.commit("running", STARTED)
        await journal.commit("done", STARTED, RunFinished(state="succeeded", output=msgspec.Raw(b'"secret"')))
        await journal.claim("done")
        assert prune_journal(path, ended_before=datetime.now(tz=UTC) - timedelta(hours=1)) == Pruned(runs=0, records=0)
        assert prune_journal(path, ended_before=later()).runs == 1
        await journal.release("done")
        assert prune_journal(path, ended_before=later()) == Pruned(runs=1, records=1)
        assert prune_journal(path, ended_before=later()) == Pruned(runs=0, records=0)
        await journal.commit("running", RunFinished(state="succeeded"))
    assert verify_journal(path).faults == ()
