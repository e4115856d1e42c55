"""`python -m tests.fakes.few_descriptors URL MAX_CONNECTIONS`: 500 calls at once with 64 file descriptors."""

from __future__ import annotations

import resource
import sys

import trio

from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.protocol import TransportFailure
from tests.engine.test_openai import request


async def _main(url: str, max_connections: str) -> None:
    provider = OpenAI("k", url, max_connections=None if max_connections == "default" else int(max_connections))
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
    sys.stdout.write(f"{len(outcomes) - len(failures)} answered, {len(failures)} failed{why}\n")


resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
trio.run(_main, *sys.argv[1:])
