"""What does a step cost on a worker of a cluster, by the clock?

The baseline is a call of a bare Ray actor, in the same cluster. A step is also checked, recorded, given a worker of its own, and may be
cancelled; `@compute` in a process of this machine, and a call of a model by a flow on a worker, show what else one could do.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import trio

from benchmarks.options import Options, common_options, parser
from benchmarks.timing import Row, compare, report
from stratum import compute, flow, infer, open_runtime
from stratum.cluster import Cluster, on_cluster
from stratum.testing import scripted

BASELINE = "a bare Ray actor's call"


@compute(process=True)
def increment(number: int) -> int:
    return number + 1


@infer(intent="Say something", max_output_tokens=50)
def say(about: str) -> str: ...


@flow
async def say_often(times: int) -> int:
    for number in range(times):
        await say(f"{number}")
    return times


class Bare:
    """What the bare actor is."""

    def increment(self, number: int) -> int:
        return number + 1


async def steps(calls: int) -> None:
    for number in range(calls):
        await increment(number)


async def flow_calls(calls: int) -> None:
    await on_cluster(say_often)(calls)


async def local_steps(calls: int) -> None:
    async with open_runtime(provider=scripted(), journal=None) as runtime:
        await runtime.run(steps, calls)


async def measured(options: Options) -> list[Row]:
    calls = 10 if options.quick else 300
    cluster = Cluster(workers=2)  # one for the bare actor's processor
    async with open_runtime(provider=scripted(otherwise="well"), journal=None, cluster=cluster):
        ray: Any = import_module("ray")
        actor = ray.remote(num_cpus=0)(Bare).remote()

        def bare() -> None:
            for number in range(calls):
                ray.get(actor.increment.remote(number))

        def awaited(function: Callable[[int], Awaitable[None]]) -> Callable[[], None]:
            return lambda: trio.from_thread.run(function, calls)

        contenders: dict[str, Callable[[], object]] = {
            BASELINE: bare,
            "@compute(process=True) on a worker": awaited(steps),
            "@compute(process=True) in a process of this machine": awaited(local_steps),
            "@infer called by a flow on a worker": awaited(flow_calls),
        }
        return await trio.to_thread.run_sync(
            lambda: compare(
                f"{calls} calls, one after the other",
                contenders,
                baseline=BASELINE,
                units=calls,
                rounds=options.rounds,
                by="wall",
            )
        )


def main() -> None:
    assert __doc__ is not None
    options = common_options(parser(__doc__).parse_args())
    if find_spec("ray") is None:
        print("left out: Ray is not installed; pip install 'stratum-runtime[cluster]'", file=sys.stderr)
        return
    report(__doc__, trio.run(measured, options), options, packages=("ray", "trio"), unit="call")


if __name__ == "__main__":
    main()
