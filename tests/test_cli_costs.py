"""`stratum costs` and `stratum trace`, over the journal of a real session."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from stratum import Price, compute, flow, infer, open_runtime
from stratum.cli import stratum
from stratum.engine.report.timeline import Bar, chrome_trace
from stratum.testing import Reply, scripted


@infer(intent="Name a colour", ensure=lambda r: r != "none", max_output_tokens=50)
def colour(of: str) -> str: ...


@infer(intent="Name an animal", model="large", max_output_tokens=50)
def animal(of: str) -> str: ...


@compute(inline=True)
def joined(words: list[str]) -> str:
    return " ".join(words)


@flow
async def picture(of: str) -> str:
    words: list[str] = []

    async def say(number: int) -> None:
        words.append(await colour(f"{of} {number}"))

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(say, number)
    return await joined([*words, await animal(of)])


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    file = tmp_path / "journal.db"
    answers = {
        "colour": [Reply(value=value, delay_s=0.05) for value in ("none", "red", "red", "red")],
        "animal": ["cat"],
    }
    provider = scripted(functions=answers, default_model="small", price=None)
    prices = {
        "small": Price.per_million(input=0, output=0, per_request=0.001),
        "large": Price.per_million(input=0, output=0, per_request=0.01),
    }
    async with open_runtime(provider=provider, prices=prices, journal=file) as runtime:
        await runtime.run(picture, "dusk")
    return file


def call(journal: Path, *arguments: str) -> Result:
    return CliRunner().invoke(stratum, [*arguments, "--journal", str(journal)], catch_exceptions=False)


async def test_costs_are_charted_by_model(journal: Path) -> None:
    shown = call(journal, "costs")
    assert shown.exit_code == 0
    head, large, small, total = shown.output.splitlines()
    assert head.split() == ["requests", "tokens", "USD"]
    assert (large.split()[0], large.split()[1], large.split()[3], large.count("█")) == ("large", "1", "0.010", 30)
    assert (small.split()[0], small.split()[1], small.split()[3], small.count("█")) == ("small", "4", "0.004", 12)
    assert (total.split()[1], total.split()[3], total.count("█")) == ("5", "0.014", 0)


@pytest.mark.parametrize(
    ("by", "expected"),
    [("function", {"animal": 0.01, "colour": 0.004}), ("model", {"large": 0.01, "small": 0.004})],
)
async def test_costs_as_json_are_the_same_figures(journal: Path, by: str, expected: dict[str, float]) -> None:
    lines = [json.loads(line) for line in call(journal, "costs", "--by", by, "--json").output.splitlines()]
    assert {line[by]: line["usd"] for line in lines} == expected
    assert {line["in_doubt_usd"] for line in lines} == {0}


async def test_a_days_costs_are_all_of_them(journal: Path) -> None:
    (day,) = [json.loads(line) for line in call(journal, "costs", "--by", "day", "--json").output.splitlines()]
    assert (day["requests"], day["usd"]) == (5, 0.014)


async def test_costs_of_a_project_that_spent_nothing_are_an_empty_chart(tmp_path: Path) -> None:
    async with open_runtime(provider=scripted(), journal=tmp_path / "journal.db"):
        pass
    assert call(tmp_path / "journal.db", "costs").output.splitlines()[-1].split() == ["total", "0", "0", "0.000"]


def test_costs_without_a_journal_say_so(tmp_path: Path) -> None:
    assert call(tmp_path / "none.db", "costs").exit_code != 0


async def test_a_trace_has_every_step_and_attempt_and_bars_on_a_track_nest(journal: Path, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    assert call(journal, "trace", "-o", str(file)).output.strip() == str(file)
    events = [event for event in json.loads(file.read_bytes())["traceEvents"] if event["ph"] == "X"]
    names = sorted(event["name"] for event in events)
    assert names == ["animal", *["attempt 1"] * 4, "attempt 2", *["colour"] * 3, "joined"]
    (rejected,) = (event for event in events if event["args"].get("violations"))
    assert rejected["dur"] >= 50_000
    refuse_crossing(events)


def refuse_crossing(events: list[dict[str, int]]) -> None:
    for first, second in itertools.combinations(events, 2):
        if first["tid"] == second["tid"]:
            (start, end), (other_start, other_end) = sorted(
                (event["ts"], event["ts"] + event["dur"]) for event in (first, second)
            )
            assert other_start >= end or other_end <= end or start == other_start


def test_bars_that_overlap_are_on_tracks_of_their_own() -> None:
    at = "2026-11-26T10:00:00"
    bars = [Bar.starting(name, step=name, at=f"{at}.{start:03}Z", ms=ms) for name, start, ms in
            [("outer", 0, 100), ("inner", 10, 20), ("crossing", 50, 100), ("after", 200, 5)]]  # fmt: skip
    events = chrome_trace("r", bars)["traceEvents"][1:]
    assert {event["name"]: event["tid"] for event in events} == {"outer": 1, "inner": 1, "crossing": 2, "after": 1}
