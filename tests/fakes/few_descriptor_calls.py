"""`python -m tests.fakes.few_descriptor_calls URL JOURNAL`: 300 `@infer` calls at once with 64 file descriptors."""

from __future__ import annotations

import resource
import sys
from typing import Literal

import trio

from stratum import Price, contract, flow, infer, open_runtime
from stratum.contracts.records import Settled
from stratum.engine.providers.openai import OpenAI


@contract
class Risk:
    level: Literal["low", "high"]


@infer(intent="Assess the risk", max_output_tokens=100)
def assess(text: str) -> Risk: ...


@flow
async def assess_many(count: int) -> int:
    answered: list[Risk] = []

    async def one(number: int) -> None:
        answered.append(await assess(f"{number}"))

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
    return len(answered)


async def _main(url: str, journal: str) -> None:
    provider = OpenAI("k", url, price=Price.per_million(input=1, output=1))
    async with open_runtime(provider=provider, journal=journal) as runtime:
        answered = await assess_many(300)
        run = next(run.run for run in await runtime.journal.runs() if run.name == "assess_many")
        settled = sum(isinstance(record, Settled) for record in await runtime.journal.read(run))
    sys.stdout.write(f"{answered} answered; settled {settled}\n")


resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
trio.run(_main, sys.argv[1], sys.argv[2])
