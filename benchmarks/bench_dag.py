"""What does a step cost beside its work, in the scheduler alone and in a plan with everything on?

The baseline, `raw trio`, is a hand-written scheduler that does nothing else, as one would write it: in-degree counters
and a task for each ready step, without scopes, limits, failure policy or isolation. `raw trio, going on` is what one
would write who minds the tasks: each goes on with a step that it made ready, and starts others only for the rest.
`lanes` is `run_dag`; `lanes, limits` gives every step its own deadline. `a scope a step` is the baseline with a task, a
cancel scope and a deadline for each step, which is what `lanes, limits` offers. `loop` awaits the steps in order: what
a step costs without any scheduler. `plan, everything on` is the graph as a plan under a budget of money and time, from
its start until its result is on disk: each step's result checked, encoded, and in the journal's file, and a step that
suspends in a cancel scope, too; a larger one than 100,000 steps is its first 50,000 as a plan within a plan, one time
after another. `still` steps return at once, `suspending` ones let trio run other tasks once. All begin in an event loop
that runs. With `--growth` plans alone are measured, those of larger graphs beside the smallest. Engines that are
installed (`make bench-peers`) run still steps in environments of their own, graphs of up to 10,000 steps; building their
graph is not measured where they have one to build.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import trio

from benchmarks.counting import Count, report_counts
from benchmarks.graphs import PATTERNS, SOURCE, workflows
from benchmarks.options import Options, common_options, each_at_least, parser, some_of
from benchmarks.peers.contenders import peers_running
from benchmarks.planned import MOST_STEPS, PART_STEPS, cpu_of, peak_of, plan_of
from benchmarks.timing import Measured, Row, compare, measured, peak_bytes, report
from stratum.contracts.plans.dag import Dag
from stratum.engine.scheduling.lane import Lane
from stratum.engine.scheduling.scheduler import run_dag

BASELINE = "raw trio"
MOST_FOR_PEERS = 10_000
"""Steps; of a chain of so many, one of them takes a minute."""
PLAN = "plan, everything on"
Contenders = dict[str, Callable[[], object]]


async def raw_trio(dag: Dag, run_step: Callable[[int], Awaitable[None]]) -> None:
    missing = list(dag.in_degrees)

    async def run(step: int) -> None:
        await run_step(step)
        for successor in dag.successors[step]:
            missing[successor] -= 1
            if not missing[successor]:
                nursery.start_soon(run, successor)

    async with trio.open_nursery() as nursery:
        for root in dag.roots:
            nursery.start_soon(run, root)


async def going_on(dag: Dag, run_step: Callable[[int], Awaitable[None]]) -> None:
    missing = list(dag.in_degrees)

    async def run(step: int) -> None:
        following: int | None = step
        while following is not None:
            step, following = following, None
            await run_step(step)
            for successor in dag.successors[step]:
                missing[successor] -= 1
                if missing[successor]:
                    continue
                if following is None:
                    following = successor
                else:
                    nursery.start_soon(run, successor)

    async with trio.open_nursery() as nursery:
        for root in dag.roots:
            nursery.start_soon(run, root)


async def a_scope_a_step(dag: Dag, run_step: Callable[[int], Awaitable[None]]) -> None:
    async def limited(step: int) -> None:
        with trio.CancelScope(deadline=trio.current_time() + 60):
            await run_step(step)

    await raw_trio(dag, limited)


async def loop(dag: Dag, run_step: Callable[[int], Awaitable[None]]) -> None:
    for step in dag.order():
        await run_step(step)


async def asyncio_task_group(dag: Dag, run_step: Callable[[int], Awaitable[None]]) -> None:
    missing = list(dag.in_degrees)

    async def run(step: int) -> None:
        await run_step(step)
        for successor in dag.successors[step]:
            missing[successor] -= 1
            if not missing[successor]:
                group.create_task(run(successor))

    async with asyncio.TaskGroup() as group:
        for root in dag.roots:
            group.create_task(run(root))


async def still(step: int, lane: Lane | None = None) -> None:
    pass


async def suspending_in_trio(step: int, lane: Lane | None = None) -> None:
    await trio.lowlevel.checkpoint()


async def suspending_in_asyncio(step: int) -> None:
    await asyncio.sleep(0)


def contenders(dag: Dag, *, suspend: bool) -> Contenders:
    step = suspending_in_trio if suspend else still
    in_asyncio = suspending_in_asyncio if suspend else still
    works: dict[str, Callable[[], Awaitable[object]]] = {
        BASELINE: lambda: raw_trio(dag, step),
        "raw trio, going on": lambda: going_on(dag, step),
        "lanes": lambda: run_dag(dag, step),
        "lanes, limits": lambda: run_dag(dag, step, limit_s=lambda step: 60.0),
        "lanes, at most 8": lambda: run_dag(dag, step, max_in_flight=8),
        "a scope a step": lambda: a_scope_a_step(dag, step),
        "loop": lambda: loop(dag, step),
    }
    return {
        **{name: partial(in_trio, work, units=len(dag)) for name, work in works.items()},
        "asyncio TaskGroup": lambda: asyncio.run(measured(lambda: asyncio_task_group(dag, in_asyncio), units=len(dag))),
    }


def in_trio(work: Callable[[], Awaitable[object]], *, units: int) -> Measured:
    """Starting trio takes a millisecond, which is no step's."""
    return trio.run(partial(measured, work, units=units))


def measure(name: str, dag: Dag, *, rounds: int, peers: bool) -> list[Row]:
    rows: list[Row] = []
    for suspend in (False, True):
        setting = f"{name}, {len(dag):,} {'suspending' if suspend else 'still'} steps"
        plan = plan_of(dag, suspend=suspend)
        invited = peers and not suspend and len(dag) <= MOST_FOR_PEERS
        with peers_running(dag) if invited else nullcontext(Contenders()) as theirs:
            rows += compare(
                setting,
                {**contenders(dag, suspend=suspend), PLAN: partial(cpu_of, plan, units=len(dag)), **theirs},
                baseline=BASELINE,
                units=len(dag),
                rounds=rounds,
            )
    return rows


def growth(name: str, make: Callable[[int], Dag], sizes: Sequence[int], *, rounds: int) -> list[Row]:
    """What a step of a plan takes in larger graphs, beside one of the smallest."""
    rows: list[Row] = []
    for suspend in (False, True):
        plans = {
            f"{size:,} steps": partial(cpu_of, plan_of(make(size), suspend=suspend), units=size)
            for size in sorted(sizes)
        }
        kind = "suspending" if suspend else "still"
        rows += compare(f"{name}, {kind} steps of a plan", plans, baseline=next(iter(plans)), units=1, rounds=rounds)
    return rows


def memory(name: str, dag: Dag, larger: Dag) -> list[Count]:
    """At most a thousand steps are in flight, at 2 KB each, so what a step takes falls with size: to what one takes that waits."""
    plan, large = plan_of(dag, suspend=True), plan_of(larger, suspend=True)
    peak_of(plan, units=1)  # what is loaded for the first plan of a process is no step's
    twice = contenders(larger, suspend=True)
    peaks = {
        contender: (peak_bytes(run, units=1), peak_bytes(twice[contender], units=1))
        for contender, run in contenders(dag, suspend=True).items()
    } | {PLAN: (peak_of(plan, units=1), peak_of(large, units=1))}
    more = len(larger) - len(dag)
    about = f"{name}, suspending steps, memory at the peak, the graph not counted"
    return [
        *(
            Count(setting=f"{about}: a step of {len(dag):,}", contender=contender, values=(peak / len(dag),))
            for contender, (peak, _) in peaks.items()
        ),
        *(
            Count(setting=f"{about}: each of {more:,} more", contender=contender, values=((most - peak) / more,))
            for contender, (peak, most) in peaks.items()
        ),
    ]


def asked() -> tuple[argparse.Namespace, Options]:
    options = parser(__doc__ or "")
    options.add_argument(
        "--sizes", type=_sizes, metavar="N,...", help="steps, comma-separated (default 1000,10000,100000)"
    )
    options.add_argument("--patterns", type=some_of(PATTERNS), metavar="NAME,...", help=f"of {','.join(PATTERNS)}")
    options.add_argument(
        "--workflows", type=Path, metavar="FOLDER", help="recorded workflows, to run instead of the patterns"
    )
    options.add_argument("--memory", action="store_true", help="peak memory a step of the patterns instead of time")
    options.add_argument(
        "--growth",
        action="store_true",
        help="plans alone, those of larger --sizes beside the smallest (default of 10,000)",
    )
    options.add_argument("--alone", action="store_true", help="without the other engines")
    arguments = options.parse_args()
    if arguments.workflows and (arguments.memory or arguments.growth or arguments.sizes or arguments.patterns):
        options.error("--workflows is instead of --patterns and --sizes, and has no --memory and no --growth")
    if arguments.memory and arguments.growth:
        options.error("--memory and --growth: one at a time")
    if arguments.growth and arguments.sizes and len(set(arguments.sizes)) < 2:
        options.error("--growth: name at least two --sizes")
    if arguments.workflows and not list(arguments.workflows.glob("*.json")):
        options.error(f"no workflows: {arguments.workflows} has no *.json; {SOURCE}")
    return arguments, common_options(arguments)


def _sizes(text: str) -> list[int]:
    sizes = each_at_least(3)(text)
    for size in sizes:
        if size > MOST_STEPS and size % PART_STEPS:
            raise argparse.ArgumentTypeError(f"beyond {MOST_STEPS:,}: a multiple of {PART_STEPS:,}, not {size:,}")
    return sizes


def main() -> None:
    arguments, options = asked()
    sizes = arguments.sizes or ([1000] if options.quick else [1000, 10_000, 100_000])
    patterns = [(name, PATTERNS[name]) for name in arguments.patterns or PATTERNS]
    if arguments.memory:
        counts = [
            count for size in sizes for name, make in patterns for count in memory(name, make(size), make(2 * size))
        ]
        report_counts(__doc__ or "", counts, options, packages=["trio"], unit="bytes", baseline=BASELINE)
        return
    if arguments.growth:
        sizes = arguments.sizes or ([1000, 2000] if options.quick else [10_000, 100_000, 1_000_000])
        rows = [row for name, make in patterns for row in growth(name, make, sizes, rounds=options.rounds)]
        report(__doc__ or "", rows, options, packages=["trio"], unit="step")
        return
    graphs = (
        workflows(arguments.workflows)
        if arguments.workflows
        else ((name, make(size)) for size in sizes for name, make in patterns)
    )
    rows = [row for name, dag in graphs for row in measure(name, dag, rounds=options.rounds, peers=not arguments.alone)]
    report(__doc__ or "", rows, options, packages=["trio"], unit="step")


if __name__ == "__main__":
    main()
