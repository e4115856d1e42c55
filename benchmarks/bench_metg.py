"""How fine may steps be before an engine spends as much on them as they do? METG(50 %), in Task Bench's sense.

The minimum effective task granularity is the shortest step at which half of the time still goes into the steps themselves (Slaughter et
al., SC20), here on one core, in CPU time, over a stencil of steps that compute for so long. The smaller the better. The contenders are those
of the benchmark `dag`; `plan, everything on` is counted from its start until its result is on disk, with the journal's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from benchmarks.bench_dag import BASELINE, PLAN, a_scope_a_step, asyncio_task_group, going_on, in_trio, raw_trio
from benchmarks.counting import Count, report_counts
from benchmarks.graphs import stencil
from benchmarks.options import common_options, parser
from benchmarks.planned import cpu_of, plan_calling
from benchmarks.timing import Measured, measured
from stratum import compute
from stratum.contracts.plans.dag import Dag
from stratum.engine.scheduling.lane import Lane
from stratum.engine.scheduling.scheduler import run_dag

EFFICIENCY = 0.5
LONGEST_US = 1000.0
Engine = Callable[[Dag, float], Measured]


def spin(us: float) -> None:
    until = time.thread_time_ns() + int(us * 1000)
    while time.thread_time_ns() < until:
        pass


def plan_of_spinning(dag: Dag, us: float) -> Measured:
    @compute(inline=True)
    def spinning() -> int:
        spin(us)
        return 1

    return cpu_of(plan_calling(spinning, dag), units=len(dag), calls=spinning)


def engines() -> dict[str, Engine]:
    def step_of(us: float) -> Callable[..., Coroutine[Any, Any, None]]:
        async def step(number: int, lane: Lane | None = None) -> None:
            spin(us)

        return step

    works: dict[str, Callable[[Dag, float], Awaitable[object]]] = {
        BASELINE: lambda dag, us: raw_trio(dag, step_of(us)),
        "raw trio, going on": lambda dag, us: going_on(dag, step_of(us)),
        "lanes": lambda dag, us: run_dag(dag, step_of(us)),
        "lanes, limits": lambda dag, us: run_dag(dag, step_of(us), limit_s=lambda step: 60.0),
        "a scope a step": lambda dag, us: a_scope_a_step(dag, step_of(us)),
    }

    def engine(work: Callable[[Dag, float], Awaitable[object]]) -> Engine:
        return lambda dag, us: in_trio(partial(work, dag, us), units=len(dag))

    return {
        **{name: engine(work) for name, work in works.items()},
        PLAN: plan_of_spinning,
        "asyncio TaskGroup": lambda dag, us: asyncio.run(
            measured(lambda: asyncio_task_group(dag, step_of(us)), units=len(dag))
        ),
    }


def metg_us(engine: Engine, dag: Dag) -> float:
    """By bisection, to 2 %."""
    low, high = 0.1, LONGEST_US
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        efficiency = middle / engine(dag, middle).cpu_us
        low, high = (low, middle) if efficiency >= EFFICIENCY else (middle, high)
    return high


def main() -> None:
    options = common_options(parser(__doc__ or "").parse_args())
    dag = stencil(500 if options.quick else 5000)
    found: dict[str, list[float]] = {name: [] for name in engines()}
    for _ in range(options.rounds):
        for name, engine in engines().items():
            found[name].append(metg_us(engine, dag))
    counts = [
        Count(
            setting=f"stencil, {len(dag):,} steps, one core",
            contender=name,
            values=tuple(values),
        )
        for name, values in found.items()
    ]
    report_counts(__doc__ or "", counts, options, packages=("trio",), unit="us", baseline=BASELINE)


if __name__ == "__main__":
    main()
