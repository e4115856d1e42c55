"""`step.stream()`: what is valid so far, who stops it, and what remains of it."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
import trio
from tests.fakes.leaks import nothing_left
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    NoRuntime,
    Partial,
    PostconditionFailed,
    Runtime,
    compute,
    contract,
    flow,
    infer,
    open_runtime,
)
from stratum.contracts.codec import codec
from stratum.contracts.partial import PartialReader
from stratum.contracts.records import CallFinished, LeftInDoubt
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.protocol import Dialect
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.providers.scripted import Reply, Scripted, scripted


@contract
class Report:
    title: str
    level: Literal["low", "high"]
    count: int
    lines: list[str]


FULL = Report(title="A long title of a report", level="high", count=12345, lines=["one", "two", "three"])


@infer(intent="Report", ensure=lambda report: report.count > 100, retries=1)
def report(about: str) -> Report: ...


@asynccontextmanager
async def session(provider: Scripted) -> AsyncGenerator[Runtime]:
    async with nothing_left(), open_runtime(provider=provider, journal=None) as runtime:
        yield runtime


def paced(value: object = FULL) -> Reply:
    return Reply(value=value, pace_s=1)


@pytest.mark.parametrize("dialect", [ResponsesDialect(), ChatDialect()], ids=lambda dialect: dialect.name)
async def test_what_is_there_is_valid_and_grows_to_the_result(autojump_clock: MockClock, dialect: Dialect) -> None:
    async with session(scripted(paced(), dialect=dialect)), report.stream("x") as partials:
        seen: list[Partial[Report]] = [partial async for partial in partials]
    *growing, last = seen
    assert last.result == FULL
    assert dict(last.fields) == {"title": FULL.title, "level": "high", "count": 12345, "lines": FULL.lines}
    assert len(growing) >= 3 and all(partial.result is None for partial in growing)
    titles = [partial.fields["title"] for partial in growing if "title" in partial.fields]
    assert all(FULL.title.startswith(title) for title in titles)
    assert titles == sorted(titles, key=len)
    assert all(partial.fields.get("count", 12345) == 12345 for partial in growing)


@pytest.mark.parametrize("cut", range(1, 100))
def test_no_field_is_shown_before_it_is_certain(cut: int) -> None:
    written = '{"title":"Of \\"it\\"","level":"high","count":12345,"lines":["one","two","three"]}'[:cut]
    fields = PartialReader(codec(Report, owner="report", field="return")).fields(written)
    assert 'Of "it"'.startswith(fields.get("title", ""))
    assert fields.get("level", "high") == "high"
    assert fields.get("count", 12345) == 12345
    assert fields.get("lines", []) == ["one", "two", "three"][: len(fields.get("lines", []))]


async def test_a_rejected_answer_is_written_anew(autojump_clock: MockClock) -> None:
    poor = Report(title="Poor", level="low", count=1, lines=[])
    async with session(scripted(paced(poor), paced())), report.stream("x") as partials:
        attempts = [(partial.attempt, partial.result) async for partial in partials]
    assert attempts[0] == (1, None) and attempts[-1] == (2, FULL)


async def test_a_call_that_fails_fails_where_its_stream_is_read(autojump_clock: MockClock) -> None:
    poor = Report(title="Poor", level="low", count=1, lines=[])
    async with session(scripted(otherwise=poor)):
        with pytest.raises(PostconditionFailed):
            async for _ in report.stream("x"):
                pass


@flow
async def look_once(about: str) -> str:
    async with report.stream(about) as partials:
        async for partial in partials:
            if "title" in partial.fields:
                return str(partial.fields["title"])
    return ""


async def test_closing_it_closes_the_connection_and_books_what_was_sent(autojump_clock: MockClock) -> None:
    provider = scripted(paced())
    async with session(provider) as runtime:
        title = await look_once("x")
        assert FULL.title.startswith(title)
        assert provider.in_flight == 0
        run = next(run.run for run in await runtime.journal.runs() if run.name == "look_once")
        records = await runtime.journal.read(run)
    assert any(isinstance(record, LeftInDoubt) for record in records)
    assert [record.outcome for record in records if isinstance(record, CallFinished)] == ["cancelled"]


async def test_breaking_out_of_it_closes_the_connection_too(autojump_clock: MockClock) -> None:
    provider = scripted(paced())
    async with session(provider):
        async for _ in report.stream("x"):
            break
        gc.collect()
        await trio.testing.wait_all_tasks_blocked()
        assert provider.in_flight == 0


async def test_a_budget_cuts_it_in_the_middle(autojump_clock: MockClock) -> None:
    seen: list[Partial[Report]] = []

    @flow(budget=Budget(ms=3500))
    async def watch_it(about: str) -> None:
        async with report.stream(about) as partials:
            seen.extend([partial async for partial in partials])

    async def collect() -> None:
        await watch_it("x")

    provider = scripted(paced())
    async with session(provider):
        with pytest.raises(BudgetExceeded) as caught:
            await collect()
        assert provider.in_flight == 0
        assert trio.current_time() == 3.5
    assert caught.value.resource == "ms"


async def test_the_calls_own_budget_is_raised_where_it_is_read(autojump_clock: MockClock) -> None:
    brief = infer(intent="Report", budget=Budget(ms=2500))(_report)
    seen = 0
    async with session(scripted(paced())):
        with pytest.raises(BudgetExceeded):
            async with brief.stream("x") as partials:
                async for _ in partials:
                    seen += 1
        assert trio.current_time() == 2.5
    assert seen > 0


def _report(about: str) -> Report: ...  # type: ignore[empty-body]


async def test_a_reader_that_is_cancelled_stops_the_call(autojump_clock: MockClock) -> None:
    provider = scripted(paced())
    async with session(provider):
        with trio.move_on_after(2.5):
            async for _ in report.stream("x"):
                pass
        await trio.testing.wait_all_tasks_blocked()
        assert provider.in_flight == 0


async def test_what_is_no_call_of_a_model_gives_its_result_alone(autojump_clock: MockClock) -> None:
    @compute(inline=True)
    def count(text: str) -> int:
        return len(text)

    async with session(scripted()):
        seen: list[Any] = [partial async for partial in count.stream("four")]
    assert [(partial.result, dict(partial.fields)) for partial in seen] == [(4, {})]


async def test_a_stream_needs_a_runtime_around_it() -> None:
    with pytest.raises(NoRuntime, match="open_runtime"):
        report.stream("x")
