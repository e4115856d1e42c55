"""A project's bridge, in the process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio
from tests.fakes.journals import STARTED

from stratum.actors.journal_store import Store
from stratum.actors.read_only_journal import ReadOnlyJournal
from stratum.contracts.errors import JournalUnavailable
from stratum.mcp_bridge.bridge import Project, open_bridge


async def test_whoever_asks_while_a_failed_journal_is_being_closed_is_answered_once_its_runs_have_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stratum.db"

    def full(*_: object) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    async with open_bridge(Project(workspace=tmp_path, journal=path), closing=trio.Event()) as bridge:
        journal = (await bridge.opened()).runtime.journal
        await journal.commit("run", STARTED)
        with monkeypatch.context() as broken:
            broken.setattr(Store, "write", full)
            with pytest.raises(JournalUnavailable, match="disk is full"):
                await journal.commit("other", STARTED)
            with pytest.raises(JournalUnavailable, match="disk is full"):
                await bridge.opened()
        with closing(ReadOnlyJournal(path)) as reading:
            assert await reading.state("run") == "interrupted"
        assert (await bridge.opened()).runtime.journal is not journal
