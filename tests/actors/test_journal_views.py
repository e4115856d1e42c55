"""The views: what docs/journal.md says is what SQL finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from tests.fakes.journals import STARTED, whole_run

from stratum.actors.journal import open_journal
from stratum.actors.journal_reader import Reader, Value, open_reader
from stratum.actors.journal_views import VIEWS

PAGE = (Path(__file__).parents[2] / "docs" / "journal.md").read_text()
EXAMPLES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
DOLLAR = 10**12


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    path = tmp_path_factory.mktemp("journal") / "stratum.db"

    async def fill() -> None:
        async with open_journal(path, session="s") as journal:
            journal.append("r", *whole_run())
            journal.append("other", STARTED)

    trio.run(fill)
    with open_reader(path) as opened:
        yield opened


def rows(reader: Reader, sql: str) -> list[dict[str, Value]]:
    answer = reader.query(sql)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def documented(view: str) -> tuple[str, ...]:
    section = re.search(rf"^### `{view}`$(.*?)(?=^### |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section, f"docs/journal.md does not describe the view {view}"
    return tuple(re.findall(r"^\| `(\w+)` \|", section[1], re.MULTILINE))


@pytest.mark.parametrize("view", VIEWS)
def test_every_column_of_every_view_is_documented_in_order(reader: Reader, view: str) -> None:
    assert reader.query(f"SELECT * FROM {view}").columns == documented(view)


@pytest.mark.parametrize("sql", EXAMPLES)
def test_every_example_runs_and_finds_something(reader: Reader, sql: str) -> None:
    assert list(reader.query(sql).rows)


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 6


def test_runs_say_how_they_stand_and_what_they_cost(reader: Reader) -> None:
    other, run = rows(reader, "SELECT * FROM runs ORDER BY run_id")
    assert (run["name"], run["target"], run["session"], run["state"]) == ("triage", "app:triage", "s2", "failed")
    assert (run["error"], run["cost_picousd"], run["cost_usd"]) == ("it broke", 3_500_000_000, 0.0035)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(run["started_at"]))
    assert str(run["started_at"]) <= str(run["ended_at"])
    assert (other["state"], other["ended_at"], other["cost_picousd"]) == ("running", None, 0)


def test_a_step_is_there_from_its_beginning(reader: Reader) -> None:
    done, begun = rows(reader, "SELECT * FROM steps ORDER BY step_id")
    assert (done["function"], done["kind"], done["model"], done["parent_id"]) == ("classify", "infer", "gpt-4o", "")
    assert (done["outcome"], done["attempts"], done["cost_picousd"], done["estimated"]) == ("ok", 2, 3_000_000_000, 0)
    assert (begun["function"], begun["parent_id"], begun["outcome"], begun["ended_at"]) == ("reply", "1", None, None)


def test_attempts_show_tokens_and_money(reader: Reader) -> None:
    rejected, accepted = rows(reader, "SELECT * FROM attempts ORDER BY attempt")
    assert (rejected["input_tokens"], rejected["cached_tokens"]) == (1000, 800)
    assert (rejected["output_tokens"], rejected["reasoning_tokens"]) == (100, 20)
    assert (rejected["violations"], rejected["cost_picousd"], rejected["cost_usd"]) == (1, 2_000_000_000, 0.002)
    assert (accepted["violations"], accepted["new_input_bytes"], accepted["error"]) == (0, 80, "")


def test_reservations_stand_as_the_ledger_counts_them(reader: Reader) -> None:
    """BUDGETS rules 4, 5 and 10."""
    worst = 6_000_000_000
    found = rows(reader, "SELECT * FROM reservations ORDER BY reservation_id")
    assert [(row["reservation_id"], row["state"], row["counted_picousd"], row["counted_tokens"]) for row in found] == [
        ("a", "settled", 2_000_000_000, 1100),
        ("b", "settled", 1_000_000_000, 1100),
        ("c", "in_doubt", worst, 1500),
        ("d", "released", 0, 0),
        ("e", "reconciled", 500_000_000, 700),
        ("f", "open", worst, 1500),
    ]
    assert {row["reserved_picousd"] for row in found} == {worst}
    assert [row["estimated"] for row in found] == [0, 1, 0, 0, 0, 0]
    assert [row["reason"] for row in found][2:4] == ["connection reset", "status 429"]
    assert [row["closed_at"] is None for row in found] == [False] * 5 + [True]


def test_traces_are_the_records_of_finished_steps(reader: Reader) -> None:
    """CASES F13."""
    (trace,) = rows(reader, "SELECT * FROM traces")
    assert (trace["inputs"], trace["output"]) == ('{"text":"hello"}', '{"confidence":0.9}')
    assert trace["retry_reasons"] == '["ensure: r.confidence > 0.75 — actual: 0.42"]'
    assert (trace["cost_usd"], trace["duration_ms"], trace["cache_hit"]) == (0.003, 1600, 0)
    assert str(trace["trace"]).startswith('{"function":"classify"')


def test_records_are_all_there_is(reader: Reader) -> None:
    found = rows(reader, "SELECT * FROM records WHERE run_id = 'r' ORDER BY n")
    assert [row["n"] for row in found] == list(range(1, len(whole_run()) + 1))
    assert found[2]["kind"] == "call_started"
    assert found[2]["step_id"] == "1"
    assert found[0]["step_id"] is None
