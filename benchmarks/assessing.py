"""The call that benchmarks make: a contract, an ensure, a budget, a journal and a trace.

As a program, `python -m benchmarks.assessing TASK` makes the calls that TASK says in a process that has imported nothing else, as a
peer's script does (peers/peer.py), and prints what they took.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import trio
from pydantic import Field

from benchmarks.peers.peak import peak_mb
from benchmarks.timing import Measured, measured
from stratum import Budget, Price, contract, flow, infer, open_runtime
from stratum.engine.providers.openai import OpenAI

ANSWER = '{"level": "low", "confidence": 0.9, "factors": ["calm", "sunny"], "recommendation": "go ahead"}'
PRICE = Price.per_million(input=2, output=8)


@contract
class RiskAssessment:
    level: Literal["low", "medium", "high", "critical"]
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    factors: list[str]
    recommendation: str


@infer(intent="Assess the risk of this plan", ensure=lambda r: r.confidence > 0.5)
def assess(text: str) -> RiskAssessment: ...


Call = Callable[[int], Awaitable[object]]


async def in_flight(call: Call, *, calls: int, at_once: int) -> None:
    """Make `calls` calls, `at_once` of them at a time."""
    numbers = iter(range(calls))

    async def worker() -> None:
        for number in numbers:
            await call(number)

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(worker)


@flow(budget=Budget(usd=1000, ms=600_000))
async def assess_many(calls: int, at_once: int) -> None:
    async def call(number: int) -> object:
        return await assess(f"plan {number}")

    await in_flight(call, calls=calls, at_once=at_once)


async def assessed(calls: int, at_once: int, *, connected: bool = True) -> Measured:
    """Make the calls of `assess` in an open runtime; some before, unmeasured, where it is to be connected by then."""
    if connected:
        await assess_many(warming(calls, at_once), at_once)
    return await measured(lambda: assess_many(calls, at_once), units=calls)


def warming(calls: int, at_once: int) -> int:
    """How many calls go before those that are measured: a peer's script makes as many (peers/peer.py)."""
    return max(at_once, calls // 10)


def as_a_peer(*, url: str, calls: int, at_once: int) -> Measured:
    """Some calls before, unmeasured, and then these."""

    async def main(journal: Path) -> Measured:
        async with open_runtime(provider=OpenAI("key", url, price=PRICE, transport="lean"), journal=journal):
            found = await assessed(calls, at_once)
        return replace(found, peak_mb=peak_mb())

    with tempfile.TemporaryDirectory() as folder:
        return trio.run(main, Path(folder) / "stratum.db")


def main() -> None:
    task: dict[str, Any] = json.loads(sys.argv[1])
    print(json.dumps(asdict(as_a_peer(**task))))


if __name__ == "__main__":
    main()
