"""Whatever providers, deadlines and budgets do, the ledger in memory and the journal say the same, and the bill is within it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field
from trio.testing import MockClock

from stratum import Budget, Runtime, StratumError, contract, flow, infer, open_runtime
from stratum.actors.ledger import Amount, LedgerState, replay
from stratum.engine.providers.protocol import Answer, TransportFailure
from stratum.engine.providers.scripted import PRICE, Reply, Scripted, scripted


@contract
class Guess:
    confidence: Annotated[float, Field(ge=0, le=1)]


def sure(guess: Guess) -> bool:
    return guess.confidence > 0.5


@infer(intent="Guess", ensure=sure, max_output_tokens=200, retries=2)
def guess(about: str) -> Guess: ...


@infer(intent="Guess", ensure=sure, max_output_tokens=200, budget=Budget(ms=3000, usd=0.003))
def careful_guess(about: str) -> Guess: ...


async def guess_twice(about: str) -> None:
    for call in (guess, careful_guess):
        try:
            await call(about)
        # stratum: allow[swallowed-stop] the books are what is looked at
        except StratumError:  # what it was is other tests' business
            continue


@flow(budget=Budget(usd=0.01))
async def inner(about: str) -> None:
    await guess_twice(about)


@flow(budget=Budget(ms=20_000, usd=0.03, tokens=15_000))
async def impatient(count: int) -> None:
    await in_parallel(count)


@flow(budget=Budget(usd=0.03, on_exhaustion="drain"))
async def patient(count: int) -> None:
    await in_parallel(count)


async def in_parallel(count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(inner if number % 3 == 0 else guess_twice, f"{number}")


def answer(status: int, body: bytes = b"{}") -> Reply:
    return Reply(value=Answer(status=status, headers={"retry-after": "1"}, body=body))


faults: Sequence[Callable[[], object]] = [
    lambda: Reply(value=Guess(confidence=0.9), delay_s=1),
    lambda: Reply(value=Guess(confidence=0.1)),
    lambda: Reply(value=Guess(confidence=0.9), usage=None, delay_s=2),
    lambda: Reply(value=b'{"confidence": 7}', delay_s=1),
    lambda: Reply(value=b"{", finish="length"),
    lambda: Reply(text="I would rather not."),
    lambda: Reply(value=Guess(confidence=0.9), delay_s=30),
    lambda: answer(429),
    lambda: answer(500),
    lambda: answer(400),
    lambda: Reply(value=TransportFailure(reason="reset", sent=True), delay_s=1),
    lambda: Reply(value=TransportFailure(reason="refused", sent=False)),
    lambda: Reply(value=TransportFailure(reason="strange", sent=True, retryable=False)),
    lambda: answer(200, b"not JSON"),
]
CAN_BE_STREAMED = len(faults) - 1


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from(range(len(faults))), min_size=5, max_size=60),
    st.integers(1, 12),
    st.booleans(),
    st.sampled_from([None, 0.002, 0.02, 0.2]),
    st.booleans(),
)
def test_the_books_agree_and_cover_the_bill(
    script: list[int], branches: int, drain: bool, session_usd: float | None, streams: bool
) -> None:
    """BUDGETS I1, I2: after any mixture of answers, faults, deadlines and exhaustion, nothing is left in flight."""
    provider = scripted(
        *(faults[number]() for number in script if number < CAN_BE_STREAMED or not streams),
        otherwise=Reply(value=Guess(confidence=0.8), delay_s=1),
        streams=streams,
    )
    budget = None if session_usd is None else Budget(usd=session_usd)

    async def main() -> None:
        try:
            async with open_runtime(provider=provider, journal=None, budget=budget, jitter=lambda: 0.5) as runtime:
                try:
                    await (patient if drain else impatient)(branches)
                except StratumError:  # stratum: allow[swallowed-stop] the books are what is looked at
                    pass
                finally:
                    with trio.CancelScope(shield=True):
                        await check(runtime, provider)
        except StratumError:  # stratum: allow[swallowed-stop] the books are what is looked at
            pass

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def check(runtime: Runtime, provider: Scripted) -> None:
    runs = [replay(await runtime.journal.read(run.run)) for run in await runtime.journal.runs()]
    session = runtime.place.envelope.scope
    for axis in ("settled", "in_doubt"):
        amounts = [getattr(state.scopes[""], axis) for state in runs if "" in state.scopes]
        assert sum(amounts, Amount()) == getattr(session, axis)
    assert session.in_flight == Amount()
    assert provider.in_flight == 0
    for state in runs:
        assert within_limits(state)
    bill = sum(PRICE.cost(usage) for usage in provider.billed)
    assert bill <= (session.settled + session.in_doubt).picousd


def within_limits(state: LedgerState) -> bool:
    """I1, and nothing in flight."""
    return all(
        scope.in_flight == Amount() and scope.limits.exceeded_by(scope.counted) is None
        for scope in state.scopes.values()
    )
