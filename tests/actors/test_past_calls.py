"""What functions took lately: read once, then only what has come since."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.journals import STARTED

from stratum.actors.journal import Journal, open_journal
from stratum.actors.journal_file import open_read_only
from stratum.actors.past_calls import RECENT, PastCalls, RecentCalls
from stratum.contracts.records import CallFinished
from stratum.contracts.trace import Outcome, TraceRecord


def finished(
    call: str, *, function: str = "f", attempts: int = 1, usd: float | None = 0.0, outcome: Outcome = "ok"
) -> CallFinished:
    trace = TraceRecord(
        function=function,
        model="m",
        inputs={},
        compiled_prompt_hash="",
        contract_hash="",
        attempts=attempts,
        output=None,
        duration_ms=1,
        cost_usd=usd,
        cost_picousd=round((usd or 0) * 10**12),
        retry_reasons=[],
        run_id="r",
        step_id=call,
        outcome=outcome,
    )
    return CallFinished(call=call, outcome=outcome, trace=trace)


async def learnt(journal: Journal, *records: CallFinished) -> PastCalls | None:
    """Of `f`, once these are recorded too."""
    await journal.commit("r", *records)
    return (await journal.past_calls()).get(("f", "infer"))


@pytest.mark.parametrize("path", [None, "j.db"])
async def test_each_look_counts_what_has_come_since(path: str | None, tmp_path: Path) -> None:
    async with open_journal(tmp_path / path if path else None, session="s") as journal:
        await journal.commit("r", STARTED)
        assert await journal.past_calls() == {}
        assert await learnt(journal, finished("1", attempts=1, usd=1)) == PastCalls(attempts=1, picousd=10**12)
        assert await learnt(journal, finished("2", attempts=2, usd=3)) == PastCalls(attempts=1.5, picousd=2 * 10**12)
        # Done again: the last time counts, with what it took before.
        assert await learnt(journal, finished("1", attempts=4, usd=3)) == PastCalls(attempts=3, picousd=3 * 10**12)
        # And if that has failed, none.
        assert await learnt(journal, finished("1", outcome="failed")) == PastCalls(attempts=2, picousd=3 * 10**12)
        # Of another function nothing follows, and of one whose price is not known no cost.
        assert await learnt(journal, finished("3", function="g", attempts=9)) == PastCalls(
            attempts=2, picousd=3 * 10**12
        )
        assert await learnt(journal, finished("4", attempts=2, usd=None)) == PastCalls(attempts=2, picousd=None)


async def test_only_the_last_few_count(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "j.db", session="s") as journal:
        await journal.commit("r", STARTED)
        assert await learnt(journal, finished("old", attempts=99)) == PastCalls(attempts=99, picousd=0)
        for number in range(RECENT - 1):
            await journal.commit("r", finished(str(number)))
        assert (await journal.past_calls())["f", "infer"] == PastCalls(attempts=(99 + RECENT - 1) / RECENT, picousd=0)
        assert await learnt(journal, finished("last")) == PastCalls(attempts=1, picousd=0)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 5), st.sampled_from(["ok", "failed"])), max_size=12))
async def test_many_looks_see_what_one_sees(calls: list[tuple[str, int, Outcome]]) -> None:
    async with open_journal(None, session="s") as often, open_journal(None, session="t") as once:
        for journal in (often, once):
            await journal.commit("r", STARTED)
        for call, attempts, outcome in calls:
            record = finished(call, attempts=attempts, outcome=outcome)
            await often.commit("r", record)
            await once.commit("r", record)
            await often.past_calls()
        assert await often.past_calls() == await once.past_calls()


async def test_what_was_looked_at_is_not_read_again_whatever_it_was(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "j.db", session="s") as journal:
        for number in range(2000):
            journal.append(f"r{number}", STARTED)
        await journal.read("r0")

        with closing(open_read_only(tmp_path / "j.db")) as connection:
            steps = [0]

            def count() -> int:
                steps[0] += 1
                return 0

            connection.set_progress_handler(count, 100)
            recent = RecentCalls()
            recent.read(connection)
            first, steps[0] = steps[0], 0
            recent.read(connection)
            assert steps[0] * 10 < first
