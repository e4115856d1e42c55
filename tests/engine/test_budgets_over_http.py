"""Budgets against a server that keeps its own bill: never above the limit, everything that fits, everything else stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from tests.engine.test_openai import closed
from tests.fakes.behaviours import counted, hangs
from tests.fakes.leaks import nothing_left
from tests.fakes.openai_server import Behaviour, Exchange, FakeOpenAI, open_server
from trio.testing import MockClock

from stratum import Budget, BudgetExceeded, Price, Runtime, Usage, compute, contract, flow, infer, open_runtime
from stratum.actors.ledger import Amount, replay
from stratum.contracts.records import Leaked, LeftInDoubt, Record, Reserved, Settled
from stratum.engine.providers.openai import OpenAI

pytestmark = pytest.mark.usefixtures("transport")

PRICE = Price.per_million(input=2, output=8)
CENT = 10**10
RELEASED = threading.Event()
"""What hanging conditions and computes wait for."""


@contract
class Word:
    text: str


@infer(intent="Say a word", max_output_tokens=1000)
def say(about: str) -> Word: ...


async def say_all(count: int) -> list[Word]:
    said: list[Word] = []

    async def one(number: int) -> None:
        said.append(await say(f"{number:03}"))

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
    return said


@flow(budget=Budget(usd=0.1))
async def say_for_ten_cents(count: int) -> list[Word]:
    return await say_all(count)


@flow(budget=Budget(usd=0.1, on_exhaustion="drain"))
async def say_and_drain(count: int) -> list[Word]:
    return await say_all(count)


@flow(budget=Budget(tokens=12_000))
async def say_for_tokens(count: int) -> list[Word]:
    return await say_all(count)


@flow(budget=Budget(ms=30_000))
async def say_in_time(count: int) -> list[Word]:
    return await say_all(count)


async def dear(exchange: Exchange) -> None:
    """An answer that uses the whole of the cap it was sent with: nearly a cent."""
    await _answer(exchange, output_tokens=exchange.received.max_output_tokens)


async def cheap(exchange: Exchange) -> None:
    """A tenth of what has to be reserved."""
    await _answer(exchange, output_tokens=5)


async def _answer(exchange: Exchange, *, output_tokens: int) -> None:
    usage = Usage(input_tokens=counted(exchange, b"").input_tokens, output_tokens=output_tokens)
    exchange.bill(usage)
    await trio.sleep(0.03)
    await exchange.respond(
        exchange.dialect.write(
            tool=exchange.received.tool, arguments=b'{"text":"hi"}', usage=usage, model=exchange.received.model
        )
    )


def billed(server: FakeOpenAI) -> int:
    return sum(PRICE.cost(bill.usage) for bill in server.bills)


async def records_of(runtime: Runtime, name: str) -> list[Record]:
    (run,) = [run for run in await runtime.journal.runs() if run.name == name]
    return await runtime.journal.read(run.run)


class Attempt:
    """A flow run against a server: how it ended, what it left in the journal, what was billed."""

    said: list[Word] | None = None
    error: BudgetExceeded | None = None
    records: list[Record]
    server: FakeOpenAI

    def __init__(self, target: Any, behaviour: Behaviour, *, count: int = 100, stream: bool = False) -> None:
        self._target = target
        self._behaviour = behaviour
        self._count = count
        self._stream = stream

    async def made(self) -> Attempt:
        """Fails if anything is left running or open, or if the books say anything else than memory."""
        async with nothing_left(), open_server(self._behaviour) as self.server:
            provider = OpenAI("k", self.server.url, price=PRICE, stream=self._stream, default_model="gpt-4o")
            async with open_runtime(provider=provider, journal=None) as runtime:
                with trio.fail_after(60):
                    try:
                        self.said = await self._target(self._count)
                    except BudgetExceeded as error:
                        self.error = error
                self.records = await records_of(runtime, self._target.signature.name)
                assert runtime.place.envelope.scope.in_flight == Amount()
                assert runtime.place.envelope.scope.settled == replay(self.records).scopes[""].settled
            await closed(self.server)
        return self


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hundred_calls_that_ten_can_be_afforded_of(stream: bool) -> None:
    """CASES D3; the bill is the server's own."""
    attempt = await Attempt(say_for_ten_cents, dear, stream=stream).made()
    assert 8 * CENT <= billed(attempt.server) <= 10 * CENT
    error = attempt.error
    assert error is not None
    assert (error.resource, error.limit, error.step) == ("usd", 10 * CENT, "say_for_ten_cents")
    assert len(error.completed) + len(error.remaining) == 100
    assert {done.function for done in error.completed} <= {"say"}
    assert error.settled + error.in_flight + error.in_doubt <= error.limit
    reserved = [record for record in attempt.records if isinstance(record, Reserved)]
    assert len(attempt.server.requests) <= len(reserved) < 30


async def test_the_same_with_drain_throws_away_nothing_that_was_paid_for() -> None:
    attempt = await Attempt(say_and_drain, dear).made()
    assert billed(attempt.server) <= 10 * CENT
    assert attempt.error is not None
    assert attempt.error.in_doubt == 0
    assert attempt.error.settled == billed(attempt.server)
    assert len(attempt.error.completed) == len(attempt.server.bills)


async def test_the_same_with_tokens() -> None:
    """CASES D16."""
    attempt = await Attempt(say_for_tokens, dear).made()
    used = sum(bill.usage.total_tokens for bill in attempt.server.bills)
    assert 9_000 <= used <= 12_000
    assert attempt.error is not None
    assert attempt.error.resource == "tokens"


async def test_calls_that_answer_cheaper_than_reserved_are_all_made() -> None:
    """BUDGETS cases 4 and 5."""
    attempt = await Attempt(say_for_ten_cents, cheap).made()
    assert attempt.said is not None
    assert len(attempt.said) == len(attempt.server.requests) == 100
    assert billed(attempt.server) <= 10 * CENT
    assert sum(isinstance(record, Settled) for record in attempt.records) == 100


async def test_a_deadline_ends_a_hundred_calls_in_flight(mock_clock: MockClock) -> None:
    """CASES D1, D9. Those that were sent are in doubt; how fast they end is measured under `make e2e`."""
    mock_clock.rate = 1

    async def hangs_till_it_is_late(exchange: Exchange) -> None:
        if exchange.number == 10:
            mock_clock.jump(30)
        await hangs(exchange)

    attempt = await Attempt(say_in_time, hangs_till_it_is_late).made()
    assert attempt.error is not None
    assert (attempt.error.resource, attempt.error.limit) == ("ms", 30_000)
    assert len(attempt.error.remaining) == 100
    reserved = {record.reservation for record in attempt.records if isinstance(record, Reserved)}
    in_doubt = {record.reservation for record in attempt.records if isinstance(record, LeftInDoubt)}
    assert len(attempt.server.bills) <= len(in_doubt) <= len(reserved) <= 100
    assert billed(attempt.server) <= replay(attempt.records).scopes[""].in_doubt.picousd


@pytest.fixture
def hanging() -> Iterator[None]:
    """Threads hang until the test is over."""
    RELEASED.clear()
    yield
    RELEASED.set()


def never_ends(word: Word) -> bool:
    RELEASED.wait(60)
    return True


@infer(intent="Say a word", ensure=never_ends, max_output_tokens=1000)
def say_and_hang(about: str) -> Word: ...


@compute
def hang(text: str) -> str:
    RELEASED.wait(60)
    return text


@flow(budget=Budget(ms=4000))
async def judged_for_ever(count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(say_and_hang, f"{number}")


@flow(budget=Budget(ms=4000))
async def computed_for_ever(count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(hang, f"{number}")


@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize("target", [judged_for_ever, computed_for_ever])
async def test_hanging_user_code_does_not_outlive_the_deadline(target: Any) -> None:
    attempt = await Attempt(target, cheap, count=5).made()
    assert not RELEASED.is_set(), "it came back while they hang"
    assert attempt.error is not None
    assert attempt.error.resource == "ms"
    assert any(isinstance(record, Leaked) for record in attempt.records)
    assert len(attempt.server.bills) == sum(isinstance(record, Settled) for record in attempt.records)
