"""A hundred calls at once under a budget for ten: how many are paid for?

The server keeps the bill. `check, then call` is the obvious guard, written by hand around the openai SDK: no call once the budget is
spent. `infer` is a flow with `Budget(usd=)` of ten calls' actual cost. Frameworks and guards that have a budget of their own and are installed
(`make bench-peers`) get ten times what one of their calls uses, and are used as their documentation says. More than ten is money that
was not there to spend.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import openai
import trio
from tests.fakes.openai_server import ServerProcess, serve_process

from benchmarks.assessing import ANSWER, PRICE, RiskAssessment
from benchmarks.bench_call import body
from benchmarks.counting import Count, report_counts
from benchmarks.options import common_options, parser
from benchmarks.peers.environments import Peer, PeerFailed, installed_peers, run_peer, version_of
from stratum import Budget, BudgetExceeded, Usage, flow, infer, open_runtime
from stratum.engine.providers.openai import OpenAI

BASELINE = "check, then call"
CALLS, AFFORDED, CAP = 100, 10, 64
Spender = Callable[[ServerProcess], str]
"""Makes a call, sets the budget, makes the others; what came of them."""


@infer(intent="Assess the risk of this plan", max_output_tokens=CAP)
def assess(text: str) -> RiskAssessment: ...


def by_infer(server: ServerProcess) -> str:
    async def main() -> str:
        async with open_runtime(provider=OpenAI("key", server.url, transport="lean", price=PRICE), journal=None):
            await assess("plan 000")
            each = PRICE.cost(server.bills()[-1].usage) / 1e12

            @flow(budget=Budget(usd=AFFORDED * each))
            async def all_at_once() -> None:
                async with trio.open_nursery() as nursery:
                    for number in range(CALLS):
                        nursery.start_soon(assess, f"plan {number:03}")

            try:
                await all_at_once()
            except BudgetExceeded as error:
                return f"BudgetExceeded, {len(error.completed)} results kept"
        return "no error"

    return trio.run(main)


def by_hand(server: ServerProcess) -> str:
    async def main() -> str:
        async with openai.AsyncOpenAI(api_key="key", base_url=server.url, max_retries=0) as client:
            create: Any = client.responses.create

            async def paid() -> int:
                usage = (await create(**body())).usage
                return PRICE.cost(Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens))

            limit, spent = AFFORDED * await paid(), 0

            async def guarded() -> None:
                nonlocal spent
                if spent < limit:
                    spent += await paid()

            async with trio.open_nursery() as nursery:
                for _ in range(CALLS):
                    nursery.start_soon(guarded)
        return "no error"

    return trio.run(main)


def by_peer(peer: Peer, server: ServerProcess) -> str:
    spent = run_peer(peer, "spends", {"url": server.url, "calls": CALLS})
    return f"{', '.join(spent['raised']) or 'no error'}, {spent['answered']} results kept"


def paid_for(spend: Spender) -> tuple[int, str]:
    """How many of the calls, the one before them not counted, and what came of them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_process(Path(folder) / "bill", "--arguments", ANSWER, "--latency-ms", "50") as server,
    ):
        note = spend(server)
        return len(server.bills()) - 1, note


def counted(name: str, spend: Spender, *, rounds: int) -> Iterator[Count]:
    """Nothing of one that fails, and that is said."""
    try:
        found = [paid_for(spend) for _ in range(rounds)]
    except PeerFailed as failure:
        print(f"left out: {failure}", file=sys.stderr)
        return
    yield Count(
        setting=f"{CALLS} calls at once, budget for {AFFORDED}",
        contender=name,
        values=tuple(paid for paid, _ in found),
        note=found[-1][1],
    )


def main() -> None:
    asked = parser(__doc__ or "", rounds=3)
    asked.add_argument("--alone", action="store_true", help="without the frameworks and other guards")
    arguments = asked.parse_args()
    options = common_options(arguments)
    spenders: dict[str, Spender] = {BASELINE: by_hand, "infer": by_infer}
    for peer in [] if arguments.alone else installed_peers("spends"):
        spenders[f"{peer.name} {version_of(peer)}"] = partial(by_peer, peer)
    counts = [count for name, spend in spenders.items() for count in counted(name, spend, rounds=options.rounds)]
    report_counts(__doc__ or "", counts, options, packages=("openai",), unit="paid for", baseline=BASELINE)


if __name__ == "__main__":
    main()
