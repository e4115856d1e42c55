"""`python -m tests.fakes.few_descriptors URL`: 500 calls at once with 64 file descriptors, by default and with more connections than that."""

from __future__ import annotations

import resource
import sys

import trio

from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.protocol import TransportFailure
from tests.engine.test_openai import request


async def _calls(url: str, *, max_connections: int | None) -> str:
    provider = OpenAI("k", url, max_connections=max_connections)
    outcomes: list[str] = []

    async def call() -> None:
        try:
            await provider.send(request(provider.dialect))
        except TransportFailure as failure:
            outcomes.append(f"{failure}; {failure.fix}")
        else:
            outcomes.append("")

    async with provider.open(), trio.open_nursery() as nursery:
        for _ in range(500):
            nursery.start_soon(call)
    failures = [outcome for outcome in outcomes if outcome]
    why = f": {failures[0]}" if failures else ""
    return f"{len(outcomes) - len(failures)} answered, {len(failures)} failed{why}\n"


async def _main(url: str) -> None:
    sys.stdout.write(await _calls(url, max_connections=None))
    sys.stdout.write(await _calls(url, max_connections=200))


resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
trio.run(_main, sys.argv[1])
