"""Stopped at every moment there is: a flow is cancelled at each step of any of its tasks, and its journal fails at each write.

Whatever the moment, the books agree with memory and cover the bill, and a resumed run asks for exactly what is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from stratum import Budget, JournalUnavailable, Runtime, Usage, compute, contract, flow, infer, open_runtime
from stratum.actors.journal_store import Entry
from stratum.actors.journal_writer import InlineWriter, Ticket
from stratum.actors.ledger import Amount, replay
from stratum.contracts.records import Answered, CallFinished, Record, Reserved
from stratum.engine.dialects.protocol import Received
from stratum.engine.providers.protocol import Answer, TransportFailure
from stratum.engine.providers.scripted import PRICE, Reply, Scripted, scripted


@contract
class Word:
    text: str


async def is_long(word: Word) -> bool:
    await trio.sleep(0.5)
    return len(word.text) > 2


@infer(intent="Say a word", ensure=lambda r: len(r.text) > 2, max_output_tokens=100)
def say(about: str) -> Word: ...


@infer(intent="Say a word, slowly", ensure=is_long, budget=Budget(usd=0.1, ms=60_000), max_output_tokens=100)
def say_slowly(about: str) -> Word: ...


@compute(inline=True)
def joined(words: list[Word]) -> str:
    return " ".join(sorted(word.text for word in words))


async def together(*calls: tuple[object, str]) -> list[Word]:
    words: list[Word] = []

    async def one(step: object, about: str) -> None:
        words.append(await step(about))  # type: ignore[operator]

    async with trio.open_nursery() as nursery:
        for step, about in calls:
            nursery.start_soon(one, step, about)
    return words


@flow(budget=Budget(usd=0.2))
async def verse(name: str) -> str:
    return await joined(await together((say, f"{name}1"), (say_slowly, f"{name}2")))


@flow(budget=Budget(usd=0.5, ms=600_000))
async def song(title: str) -> list[str]:
    chorus = await joined(
        await together((say, "a rejected"), (say_slowly, "b rejected"), (say, "c dropped"), (say, "d limited"))
    )
    verses: list[str] = []

    async def one(name: str) -> None:
        verses.append(await verse(name))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, "v")
        nursery.start_soon(one, "w")
    return [chorus, *sorted(verses), (await say(title)).text]


RESULT = ["word_a word_b word_c word_d", "word_v1 word_v2", "word_w1 word_w2", "word_t"]
REQUESTS = Counter(
    {"a rejected": 2, "b rejected": 2, "c dropped": 1, "d limited": 1, "v1": 1, "v2": 1, "w1": 1, "w2": 1, "t": 1}
)
"""Answers that each call needs, besides the requests that are dropped or refused."""


class Model:
    """Rejects, drops and limits each call once, as its name says; counts what it billed."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.billed = 0
        self._seen: set[str] = set()

    def __call__(self, received: Received) -> Reply:
        about = received.inputs.removeprefix("about: ").removeprefix("title: ")
        first, _ = about not in self._seen, self._seen.add(about)
        if first and about.endswith("limited"):
            return Reply(value=Answer(status=429, headers={"retry-after": "1"}, body=b"{}"))
        usage = Usage(input_tokens=100, output_tokens=50)
        self.billed += PRICE.cost(usage)
        if first and about.endswith("dropped"):
            return Reply(value=TransportFailure(reason="dropped", sent=True), delay_s=1)
        self.answered[about] += 1
        short = about.endswith("rejected") and received.attempt == 1
        text = "no" if short else f"word_{about.split()[0]}"
        return Reply(value=Word(text=text), usage=usage, delay_s=1)


class AtStep(trio.abc.Instrument):
    """Cancels `scope` when the tasks of the run are about to take their `number`-th step together."""

    def __init__(self, number: int, scope: trio.CancelScope) -> None:
        self.taken = 0
        self._number = number
        self._scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.taken += 1
        if self.taken == self._number:
            self._scope.cancel()


async def test_cancelled_at_any_step_the_books_cover_the_bill_and_nothing_is_asked_twice(
    autojump_clock: MockClock,
) -> None:
    number, finished = 1, False
    while not finished:
        model = Model()
        provider = scripted(otherwise=model)
        async with open_runtime(provider=provider, journal=None, jitter=lambda: 0.0) as runtime:
            result: list[str] | None = None
            scope = trio.CancelScope()
            at_step = AtStep(number, scope)
            with scope:
                trio.lowlevel.add_instrument(at_step)
                try:
                    result = await song("t")
                finally:
                    trio.lowlevel.remove_instrument(at_step)
            finished = at_step.taken < number
            await checked_and_resumed(runtime, model, provider, result, where=f"step {number}")
        number += 1
    assert number > 50


async def checked_and_resumed(
    runtime: Runtime, model: Model, provider: Scripted, result: list[str] | None, *, where: str
) -> None:
    assert provider.in_flight == 0, where
    runs = [run for run in await runtime.journal.runs() if run.name == "song"]
    if not runs:
        assert model.billed == 0, where
        return
    (run,) = runs
    records = await runtime.journal.read(run.run)
    books = replay(records).scopes.get("")
    scope = runtime.place.envelope.scope
    settled, in_doubt = (books.settled, books.in_doubt) if books else (Amount(), Amount())
    assert (scope.settled, scope.in_flight, scope.in_doubt) == (settled, Amount(), in_doubt), where
    assert model.billed <= (settled + in_doubt).picousd, where
    asked = model.answered.copy()
    assert await song.resume(run.run, runtime.place) == RESULT, where
    if result is not None:
        assert result == RESULT, where
    again = model.answered - asked
    assert again == REQUESTS - recorded(records), where


def recorded(records: Sequence[Record]) -> Counter[str]:
    """Answers of each call that need not be asked for again."""
    answers = Counter(record.call for record in records if isinstance(record, Answered))
    done: Counter[str] = Counter()
    for record in records:
        if isinstance(record, CallFinished) and record.trace.kind == "infer":
            about = str(record.trace.inputs["about"])
            done[about] = REQUESTS[about] if record.outcome == "ok" else answers[record.call]
    return done


async def test_with_a_journal_that_fails_at_any_write_the_run_stops_and_sends_nothing_unrecorded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request without a recorded reservation; and one error, not one for every task that met it."""
    whole = InlineWriter.put
    appends, finished = 2, False  # two are the session's own beginning
    left = reserved = 0

    def put(self: InlineWriter, entries: Sequence[Entry]) -> Ticket:
        nonlocal left, reserved
        left -= 1
        if left < 0:
            raise JournalUnavailable(path="journal", problem="no space left to write it", fix="free some space")
        reserved += sum(isinstance(entry.record, Reserved) for entry in entries)
        return whole(self, entries)

    monkeypatch.setattr(InlineWriter, "put", put)
    while not finished:  # stratum: allow[manual-retry] each round fails at a later moment
        left, reserved = appends, 0
        provider = scripted(otherwise=Model())
        try:
            async with open_runtime(provider=provider, journal=None, jitter=lambda: 0.0):
                assert await song("t") == RESULT
            finished = True
        except JournalUnavailable:
            assert left < 0
        assert len(provider.requests) <= reserved, f"append {appends}"
        assert provider.in_flight == 0
        appends += 1
    assert appends > 50
