"""An allowance: what all sessions of a project may spend together, whatever each of them does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from stratum import Allowance, AllowanceExceeded, Budget, BudgetExceeded, Price, contract, flow, infer, open_runtime
from stratum.actors.ledger import replay
from stratum.contracts.price import Usage
from stratum.engine.dialects.protocol import Received
from stratum.engine.providers.protocol import TransportFailure
from stratum.engine.providers.scripted import Reply, Scripted, scripted

PICOUSD = 10**12


@contract
class Word:
    text: str


@infer(intent="Say a word", max_output_tokens=1000)
def say(about: str) -> Word: ...


@flow
async def chorus(count: int) -> list[str]:
    words: list[str] = []

    async def one(number: int) -> None:
        words.append((await say(f"{number}")).text)

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
    return words


def costing(usd: float) -> Callable[[Received], Reply]:
    """Every answer costs so much; the worst case of a call is a cent, its 1,000 output tokens."""
    usage = Usage(input_tokens=0, output_tokens=round(usd * 100_000))
    return lambda received: Reply(value=Word(text="w"), usage=usage)


def priced(usd: float) -> Scripted:
    return scripted(otherwise=costing(usd), price=Price.per_million(input=0, output=10))


def counted(journal: Path) -> int:
    """Picodollars, over all days."""
    with closing(sqlite3.connect(journal)) as connection:
        (total,) = connection.execute("SELECT coalesce(sum(picousd), 0) FROM _spend_by_day").fetchone()
    return int(total)


async def test_two_sessions_share_it(tmp_path: Path) -> None:
    journal, allowance = tmp_path / "stratum.db", Allowance(usd=0.05)
    async with (
        open_runtime(provider=priced(0.01), journal=journal, allowance=allowance) as one,
        open_runtime(provider=priced(0.01), journal=journal, allowance=allowance) as other,
    ):
        assert len(await one.run(chorus, 3)) == 3
        assert len(await other.run(chorus, 2)) == 2
        for runtime in (one, other):
            with pytest.raises(AllowanceExceeded) as caught:
                await runtime.run(chorus, 1)
            assert (caught.value.settled, caught.value.requested) == (PICOUSD * 5 // 100, PICOUSD // 100)
            assert "0.050 of 0.050 USD per day" in str(caught.value)
            assert "wait until tomorrow (UTC), or raise the allowance" in str(caught.value)
    assert counted(journal) == PICOUSD * 5 // 100


async def test_at_once_they_cannot_overspend_it(tmp_path: Path) -> None:
    """BUDGETS: what is paid never exceeds a limit, here over sessions."""
    journal, allowance = tmp_path / "stratum.db", Allowance(usd=0.05)
    providers = [priced(0.01), priced(0.01)]
    refused: list[BudgetExceeded] = []

    async def spend(provider: Scripted) -> None:
        async with open_runtime(provider=provider, journal=journal, allowance=allowance):
            try:
                await chorus(20)
            except BudgetExceeded as error:
                refused.append(error)

    async with trio.open_nursery() as nursery:
        for provider in providers:
            nursery.start_soon(spend, provider)
    assert len(refused) == 2
    assert sum(len(provider.requests) for provider in providers) == 5
    assert counted(journal) <= PICOUSD * 5 // 100


async def test_what_answers_cost_less_than_reserved_is_there_for_others(tmp_path: Path) -> None:
    async with open_runtime(
        provider=priced(0.001), journal=tmp_path / "stratum.db", allowance=Allowance(usd=0.02)
    ) as runtime:
        for _ in range(10):
            await runtime.run(say, "word")


async def test_what_is_in_doubt_goes_on_counting(tmp_path: Path) -> None:
    journal = tmp_path / "stratum.db"
    lost = scripted(
        otherwise=TransportFailure(reason="reset", sent=True, retryable=False),
        price=Price.per_million(input=0, output=10),
    )
    async with open_runtime(provider=lost, journal=journal):
        with pytest.raises(Exception, match="reset"):
            await chorus(1)
    async with open_runtime(provider=priced(0.01), journal=journal, allowance=Allowance(usd=0.019)) as runtime:
        with pytest.raises(AllowanceExceeded):
            await runtime.run(chorus, 1)
    assert counted(journal) == PICOUSD // 100


async def test_a_refused_call_gives_back_what_it_held_of_its_own_budget() -> None:
    @flow(budget=Budget(usd=0.01))
    async def thrifty() -> None:
        await say("word")

    async with open_runtime(provider=priced(0.01), journal=None, allowance=Allowance(usd=0.005)) as runtime:
        with pytest.raises(AllowanceExceeded) as caught:
            await thrifty()
        assert caught.value.step.endswith("thrifty")
        (run, *_) = await runtime.journal.runs(limit=1)
        books = replay(await runtime.journal.read(run.run))
        assert books.scopes[""].counted.picousd == 0


async def test_a_call_in_the_session_itself_is_told_and_the_session_goes_on() -> None:
    async with open_runtime(provider=priced(0.01), journal=None, allowance=Allowance(usd=0.01)) as runtime:
        await runtime.run(say, "word")
        for _ in range(2):
            with pytest.raises(AllowanceExceeded):
                await runtime.run(say, "another")


@pytest.mark.parametrize(("per", "first"), [("day", "2026-11-26"), ("month", "2026-11-01"), ("ever", "")])
def test_days_and_months_begin_anew(per: str, first: str) -> None:
    allowance = Allowance(usd=1, per=per)  # type: ignore[arg-type]  # one of the three
    assert allowance.first_day(date(2026, 11, 26)) == first


@pytest.mark.parametrize("wrong", [{"usd": -1}, {"usd": float("nan")}, {"usd": 1, "per": "week"}, {"usd": True}])
def test_what_is_no_allowance_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="pass"):
        Allowance(**wrong)  # type: ignore[arg-type]  # that is the point


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["cheap", "full", "lost", "refused"]), max_size=8), st.integers(1, 4))
def test_the_table_is_a_fold_of_the_records(outcomes: list[str], sessions: int) -> None:
    """What counts by day equals what every run's books count."""

    async def main() -> None:
        replies: dict[str, object] = {
            "cheap": costing(0.002),
            "full": costing(0.01),
            "lost": TransportFailure(reason="reset", sent=True, retryable=False),
            "refused": TransportFailure(reason="no route", sent=False, retryable=False),
        }
        provider = scripted(
            *(replies[outcome] for outcome in outcomes),
            otherwise=costing(0.01),
            price=Price.per_million(input=0, output=10),
        )
        async with open_runtime(provider=provider, journal=None, allowance=Allowance(usd=0.05)) as runtime:
            for _ in range(sessions):
                try:
                    await runtime.run(chorus, 3)
                except Exception:  # noqa: BLE001, S110 - how it ends is other tests' business
                    pass
            runs = await runtime.journal.runs(limit=100)
            books = [replay(await runtime.journal.read(run.run)) for run in runs]
            total = sum(book.scopes[""].counted.picousd for book in books if "" in book.scopes)
            assert await runtime.journal.counted_since("") == total

    trio.run(main)
