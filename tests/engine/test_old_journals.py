"""Journals as older versions wrote them: each opens, verifies, counts and is gone on with; newer ones are refused.

`tests/actors/journals/version_N.sql` is a dump of a file that a Stratum of that version wrote: a flow that succeeded, and one
that was killed in the second attempt of its second call.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.fakes.journals import whole_run

from stratum import Allowance, Budget, JournalUnavailable, Price, compute, contract, flow, infer, open_runtime
from stratum.actors.journal import open_journal
from stratum.actors.journal_chain import chain_link
from stratum.actors.journal_check import verify_journal
from stratum.actors.journal_prune import prune_journal
from stratum.actors.journal_reader import open_reader
from stratum.actors.journal_schema import MIGRATIONS
from stratum.actors.journal_store import last_link, last_seq
from stratum.actors.journal_watermark import watermark_path
from stratum.actors.spend_by_day import FOLD
from stratum.cli import stratum
from stratum.engine.providers.scripted import scripted

DUMPS = Path(__file__).parents[1] / "actors" / "journals"
VERSIONS = range(1, len(MIGRATIONS))
SUCCEEDED, KILLED = "762523920fbf", "348e7c58f65e"


@contract
class Word:
    text: str


@infer(
    intent="Say a word",
    ensure=lambda word: len(word.text) > 1,
    model="gpt-4o",
    max_output_tokens=100,
    retries=1,
    budget=Budget(usd=0.01),
)
def say(about: str) -> Word: ...


@compute(inline=True)
def shout(word: Word) -> str:
    return word.text.upper()


@flow(budget=Budget(usd=1))
async def talk(abouts: list[str]) -> list[str]:
    return [await shout(await say(about)) for about in abouts]


def written_by(version: int, folder: Path) -> Path:
    """The journal of that version, as it was left."""
    path = folder / "stratum.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DUMPS / f"version_{version}.sql").read_text())
        watermark_path(path).write_text(f"{last_seq(connection):020}\n")
    return path


def test_every_older_version_has_its_dump() -> None:
    assert sorted(file.name for file in DUMPS.iterdir()) == [f"version_{version}.sql" for version in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_run_of_an_older_version_is_gone_on_with_and_pays_for_nothing_twice(
    version: int, tmp_path: Path
) -> None:
    path = written_by(version, tmp_path)
    provider = scripted({"text": "fog"}, price=Price.per_million(input=1, output=2))
    async with open_runtime(provider=provider, journal=path) as runtime:
        states = {run.run: run.state for run in await runtime.journal.runs()}
        for run in (SUCCEEDED, KILLED):
            await runtime.journal.verify(run)
        resumed = await runtime.resume(talk, KILLED)

    assert (states[SUCCEEDED], states[KILLED]) == ("succeeded", "interrupted")
    assert resumed == ["WIND", "FOG"]
    assert len(provider.requests) == 1
    assert verify_journal(path).faults == ()
    with open_reader(path) as reader:
        (usd,) = reader.query("SELECT sum(cost_picousd) FROM runs").rows
        (counted,) = reader.query("SELECT count(*) FROM steps").rows
    assert usd != (0,)
    assert counted == (8,)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_an_older_version_spent_counts_against_an_allowance(version: int, tmp_path: Path) -> None:
    path = written_by(version, tmp_path)
    with open_reader(path) as reader:
        ((spent, in_doubt),) = reader.query(
            "SELECT sum(counted_picousd), sum(CASE WHEN state = 'open' THEN counted_picousd END) FROM reservations"
        ).rows
    async with open_runtime(provider=scripted(), journal=path, allowance=Allowance(usd=1, per="ever")) as runtime:
        assert await runtime.journal.counted_since("") == spent
    assert in_doubt


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_version_is_read_without_being_changed(version: int, tmp_path: Path) -> None:
    path = written_by(version, tmp_path)
    before = path.read_bytes()
    for command in (["runs"], ["audit", KILLED], ["costs"], ["journal", "verify"], ["journal", "export"]):
        read = CliRunner().invoke(stratum, [*command, "--journal", str(path)], catch_exceptions=False)
        assert read.exit_code == 0
    assert path.read_bytes() == before


async def test_an_empty_file_is_a_new_journal(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    path.touch()
    async with open_runtime(provider=scripted({"text": "fog"}), journal=path) as runtime:
        assert await runtime.run(talk, ["sky"]) == ["FOG"]
    assert verify_journal(path).faults == ()


async def test_what_was_spent_comes_to_the_same_from_all_records_at_once(tmp_path: Path) -> None:
    path = tmp_path / "stratum.db"
    for run, records in {"a": whole_run(), "b": whole_run(), "c": whole_run()[:-1]}.items():
        async with open_journal(path, session=run) as journal:
            await journal.commit(run, *records)
    with closing(sqlite3.connect(path)) as connection:
        noted = connection.execute("SELECT day, picousd FROM _spend_by_day").fetchall()
        connection.execute("DELETE FROM _spend_by_day")
        connection.execute(FOLD)
        assert connection.execute("SELECT day, picousd FROM _spend_by_day").fetchall() == noted
    assert noted[0][1] > 0


@pytest.mark.parametrize("command", [["runs"], ["audit", KILLED], ["trace", KILLED], ["resume", KILLED]])
def test_a_newer_version_is_not_read_as_if_it_were_known(command: list[str], tmp_path: Path) -> None:
    path = written_by(1, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    read = CliRunner().invoke(stratum, [*command, "--journal", str(path)])

    assert read.exit_code != 0
    assert "written by a newer Stratum (schema 3; this one knows up to 2); pip install --upgrade" in read.output
    assert path.read_bytes() == before


async def test_a_record_that_only_a_newer_version_knows_is_told(tmp_path: Path) -> None:
    path = written_by(1, tmp_path)
    body = '{"kind":"foretold","elapsed_ms":70}'
    with closing(sqlite3.connect(path)) as connection:
        n, before = last_link(connection, SUCCEEDED)
        link = chain_link(before, n + 1, at=0, kind="foretold", body_digest=sha256(body.encode()).digest())
        row = (last_seq(connection) + 1, SUCCEEDED, n + 1, "foretold", None, 0, body, None, link)
        connection.execute("INSERT INTO _records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.commit()
    told = "run 762523920fbf has a record that this Stratum does not know .*foretold.*; use the version that wrote it"
    async with open_runtime(provider=scripted(), journal=path) as runtime:
        with pytest.raises(JournalUnavailable, match=told):
            await runtime.journal.read(SUCCEEDED)
    with pytest.raises(JournalUnavailable, match=told):
        prune_journal(path, ended_before=datetime.now(UTC))
    audited = CliRunner().invoke(stratum, ["audit", SUCCEEDED, "--journal", str(path)])
    assert audited.exit_code != 0
    assert "does not know" in audited.output
    assert verify_journal(path).faults == ()
