"""A flow asks a person: who answers, in time or not, here or elsewhere; and whose clock stands meanwhile."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import trio
from tests.fakes.leaks import nothing_left
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    HITLTimeoutError,
    HumanDecision,
    Runtime,
    TraceRecord,
    await_human,
    compute,
    contract,
    flow,
    open_runtime,
    parallel,
)
from stratum.actors.journal import open_journal
from stratum.contracts.messages import AnswerReview
from stratum.contracts.records import CallFinished, ClockStarted, ClockStopped, GateOpened
from stratum.engine.people.review import Review, Sink
from stratum.engine.people.sinks import ConsoleSink, FileSink
from stratum.engine.providers.scripted import scripted


class After:
    """A person who answers after so long."""

    def __init__(self, seconds: float, value: object, *, rationale: str = "") -> None:
        self._seconds = seconds
        self._value = value
        self._rationale = rationale

    async def ask(self, review: Review) -> None:
        await trio.sleep(self._seconds)
        review.resolve(self._value, reviewer="ada", rationale=self._rationale)


@asynccontextmanager
async def session(*sinks: Sink, journal: Path | None = None) -> AsyncGenerator[Runtime]:
    async with nothing_left(), open_runtime(provider=scripted(), journal=journal, sinks=sinks) as runtime:
        yield runtime


async def run_of(runtime: Runtime, name: str) -> str:
    return next(run.run for run in await runtime.journal.runs() if run.name == name)


@flow(budget=Budget(ms=5000))
async def release(version: str) -> str:
    decided = await await_human(f"Release {version}?", options=["ship", "hold"])
    return f"{decided.value} by {decided.reviewer}"


async def test_the_first_sink_that_answers_decides(autojump_clock: MockClock) -> None:
    """CASES F1."""
    async with session(After(9, "hold"), After(3, "ship", rationale="tests pass")) as runtime:
        decided = await await_human("Release?", options=["ship", "hold"])
        assert trio.current_time() == 3
        assert runtime.reviews.pending == []
    assert (decided.value, decided.reviewer, decided.rationale) == ("ship", "ada", "tests pass")
    assert decided.decided_at.tzinfo is UTC
    assert decided.review_id.endswith(":await_human#1")


async def test_nobody_in_time_is_an_error_or_the_fallback(autojump_clock: MockClock) -> None:
    """CASES F2: the fallback is checked before anybody is asked."""
    async with session(After(100, True)):
        with pytest.raises(HITLTimeoutError) as caught:
            await await_human("Sure?", bool, timeout_s=5)
        assert caught.value.review_id.endswith(":await_human#1")
        decided = await await_human("Sure?", bool, timeout_s=5, on_timeout=False)
        assert (decided.value, decided.reviewer, decided.rationale) == (False, "auto", "timeout")
        with pytest.raises(TypeError, match="not an answer"):
            await await_human("Sure?", bool, timeout_s=5, on_timeout="no")  # type: ignore[call-overload]
    assert trio.current_time() == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize("kept", [True, False])
async def test_without_a_terminal_and_a_sink_the_log_says_that_somebody_waits(
    autojump_clock: MockClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    kept: bool,
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    journal = tmp_path / "journal.db" if kept else None
    async with open_runtime(provider=scripted(), journal=journal) as runtime:
        with pytest.raises(HITLTimeoutError):
            await await_human("Release the secret?", timeout_s=5)
    (said,) = [record.getMessage() for record in caplog.records if "waits for a person" in record.getMessage()]
    assert said.endswith("pass open_runtime(sinks=[...])")
    assert (f"`stratum gate {runtime.session} await_human#1 ANSWER`" in said) is kept
    assert "secret" not in said


async def test_a_wrong_answer_leaves_it_pending_and_a_second_one_changes_nothing(autojump_clock: MockClock) -> None:
    """CASES F4."""
    decisions: list[HumanDecision[int]] = []

    async def ask() -> None:
        decisions.append(await await_human("How many?", int, options=[1, 2]))

    async with session() as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        (review,) = runtime.reviews.pending
        for wrong in ("two", 3, None):
            with pytest.raises(TypeError):
                runtime.reviews.resolve(review.id, wrong, reviewer="ada")
        assert runtime.reviews.resolve(review.id, 2, reviewer="ada") is True
        assert runtime.reviews.resolve(review.id, 1, reviewer="bob") is False
    assert [(each.value, each.reviewer) for each in decisions] == [(2, "ada")]


@contract
class Verdict:
    good: bool


@pytest.mark.parametrize(
    ("typed", "decision", "options", "expected"),
    [
        ("2\n", str, ["ship", "hold"], "hold"),
        ("ship\n", str, ["ship", "hold"], "ship"),
        ("whatever I like\n", str, [], "whatever I like"),
        ("7\n", int, [], 7),
        ('{"good": true}\n', Verdict, [], Verdict(good=True)),
        ("low\n", Literal["low", "high"], [], "low"),
    ],
)
async def test_a_person_types_an_option_its_number_or_a_value(
    typed: str, decision: Any, options: list[str], expected: object
) -> None:
    """CASES F6."""
    shown: list[str] = []
    lines = deque(["\x00nonsense\n" if decision is not str or options else typed, typed])
    async with session(ConsoleSink(read=lines.popleft, write=shown.append)):
        assert (await await_human("Well?", decision, options=options)).value == expected
    assert shown[0].startswith("Well?\n")


async def test_the_loop_goes_on_while_somebody_thinks_and_the_deadline_wins() -> None:
    """CASES F6."""
    thought = threading.Event()

    def think() -> str:
        thought.wait(60)
        return "too late\n"

    async with open_runtime(provider=scripted(), journal=None, sinks=[ConsoleSink(read=think, write=len)]):
        decided = await await_human("Well?", timeout_s=0.05, on_timeout="nothing")
    thought.set()
    assert decided.value == "nothing"


async def test_a_file_is_a_question_and_another_its_answer(autojump_clock: MockClock, tmp_path: Path) -> None:
    async def answer() -> None:
        while not (asked := list(tmp_path.glob("*.question.json"))):
            await trio.sleep(0.1)
        question = json.loads(asked[0].read_text())
        assert (question["question"], question["options"]) == ("Release?", ["ship", "hold"])
        file = Path(str(asked[0]).replace(".question.", ".answer."))
        file.write_text('{"value": "neither", "reviewer": "ada"}')
        while file.exists():
            await trio.sleep(0.1)
        file.write_text('{"value": "hold", "reviewer": "ada", "rationale": "Friday"}')

    async with session(FileSink(tmp_path)), trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        decided = await await_human("Release?", options=["ship", "hold"])
    assert (decided.value, decided.reviewer, decided.rationale) == ("hold", "ada", "Friday")
    assert sorted(path.suffixes[-2] for path in tmp_path.iterdir()) == [".rejected"]


async def test_the_trace_of_the_step_names_the_question(autojump_clock: MockClock) -> None:
    """CASES F7."""
    async with session(After(1, "ship")) as runtime:
        assert await release("1.0") == "ship by ada"
        run = await run_of(runtime, "release")
        records = await runtime.journal.read(run)
    traces = [record.trace for record in records if isinstance(record, CallFinished)]
    assert [(trace.function, trace.kind, trace.review_id) for trace in traces] == [
        ("await_human", "gate", f"{run}:await_human#1")
    ]


async def test_waiting_for_a_person_takes_no_time_of_the_budget(autojump_clock: MockClock) -> None:
    """CASES D11."""
    async with session(After(3600, "ship")) as runtime:
        assert await release("1.0") == "ship by ada"
        records = await runtime.journal.read(await run_of(runtime, "release"))
    assert trio.current_time() == 3600
    assert [type(record) for record in records if isinstance(record, (ClockStopped, ClockStarted))] == [
        ClockStopped,
        ClockStarted,
    ]


@compute
async def work(seconds: float) -> float:
    await trio.sleep(seconds)
    return seconds


@flow(budget=Budget(ms=5000))
async def ask_beside_work(seconds: float) -> None:
    await parallel(work(seconds), await_human("Well?"))


async def test_the_clock_runs_while_anything_else_is_at_work(autojump_clock: MockClock) -> None:
    """CASES D11: it stops when the last of the others is done, and goes on from there."""
    async with session(After(100, "yes")):
        await ask_beside_work(4)
        assert trio.current_time() == 100
        with pytest.raises(BudgetExceeded) as caught:
            await ask_beside_work(6)
        assert trio.current_time() == 105
    assert caught.value.resource == "ms"


async def test_a_task_of_the_users_own_keeps_the_clock_running(autojump_clock: MockClock) -> None:
    @flow(budget=Budget(ms=5000))
    async def tick_and_ask() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await await_human("Well?")
            nursery.cancel_scope.cancel()

    async with session(After(100, "yes")):
        with pytest.raises(BudgetExceeded):
            await tick_and_ask()
    assert trio.current_time() == 5


async def test_what_was_left_before_the_question_is_left_after_it(autojump_clock: MockClock) -> None:
    @flow(budget=Budget(ms=5000))
    async def work_ask_work(after: float) -> None:
        await work(3)
        await await_human("Well?")
        await work(after)

    async with session(After(100, "yes")):
        await work_ask_work(1.9)
        with pytest.raises(BudgetExceeded):
            await work_ask_work(2.1)


async def asked(runtime: Runtime) -> None:
    with trio.fail_after(60):
        while not runtime.reviews.pending:
            await trio.sleep(0.01)


async def test_a_question_survives_a_restart_with_its_deadline_and_its_clock(tmp_path: Path) -> None:
    """CASES F18: asked again by the session that goes on with the run; answered by another process's message."""
    journal = tmp_path / "journal.db"
    async with session(journal=journal) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(release, "1.0")
        await asked(runtime)
        nursery.cancel_scope.cancel()
    async with session(journal=journal) as runtime:
        run = await run_of(runtime, "release")

        async def answer() -> None:
            await asked(runtime)
            async with open_journal(journal, session="elsewhere") as other, trio.open_nursery() as inner:
                inner.start_soon(other.run)
                message = AnswerReview(by="ada", step="await_human#1", value="1")
                assert await other.post(run, message)
                inner.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            assert await runtime.resume(release, run) == "ship by ada"
        records = await runtime.journal.read(run)
    opened = [record for record in records if type(record).__name__ == "GateOpened"]
    assert [msgspec.structs.asdict(record)["question"] for record in opened] == ["Release 1.0?"]
    trace: TraceRecord = next(
        record.trace for record in records if isinstance(record, CallFinished) and record.outcome == "ok"
    )
    assert trace.review_id == f"{run}:await_human#1"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"question": 5}, "the question is no text"),
        ({"options": "yes"}, r"pass a list of options, as \['yes'\]"),
        ({"timeout_s": float("nan")}, "timeout_s=nan: pass a number of seconds from 0"),
        ({"timeout_s": -1}, "timeout_s=-1: pass"),
        ({"timeout_s": "5"}, "timeout_s='5': pass"),
        ({"timeout_s": 1e300}, "timeout_s=1e\\+300: pass"),
    ],
)
async def test_what_nobody_can_be_asked_is_not_recorded(asked: dict[str, Any], says: str) -> None:
    question: dict[str, Any] = {"question": "Release?"}
    async with session(After(0, "ship")) as runtime:
        with pytest.raises((TypeError, ValueError), match=says):
            await await_human(**question | asked)
        records = await runtime.journal.read(runtime.session)
        assert not [record for record in records if isinstance(record, GateOpened)]
        assert (await await_human("Release?", timeout_s=0.5)).value == "ship"
