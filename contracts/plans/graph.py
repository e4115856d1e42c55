"""The graph of a plan's steps: stand-ins, cycles, and what repairs go back to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from stratum.contracts.plans.dag import Dag
from stratum.contracts.problem import Problems, visible

MAX_TARGETS = 1000
"""Distinct steps, not directly before, that repairs and revisions go back to."""
_MAX_CYCLES = 10
_SHOWN_OF_CYCLE = 10


def with_stand_ins(before: Sequence[set[int]], stand_ins: Mapping[int, int]) -> Sequence[set[int]]:
    """By step, the steps it waits for: whoever needs a step's output needs to know whether its stand-in gives it."""
    if not stand_ins:
        return before
    waits = [set(each) for each in before]
    successors = Dag.of(before).successors
    for step, other in stand_ins.items():
        for successor in successors[step]:
            if successor != other:
                waits[successor].add(other)
    return waits


def acyclic(waits: Sequence[set[int]], ids: Sequence[str], *, path: str, problems: Problems) -> Dag | None:
    """The graph; `None`, and a problem for each cycle, if steps wait for each other. `waits` is then spoilt."""
    dag = Dag.of(waits)
    cycle = dag.cycle()
    if not cycle:
        return dag
    for _ in range(_MAX_CYCLES if len(waits) <= 10_000 else 1):
        way = [visible(ids[number]) for number in (*cycle, cycle[0])]
        if len(way) > _SHOWN_OF_CYCLE:
            way[_SHOWN_OF_CYCLE - 2 : -1] = ["…"]
        problem = f"these steps wait for each other: {' -> '.join(way)}"
        problems.add(f"{path}.steps[{cycle[0]}]", problem, "remove one of the dependencies")
        waits[cycle[0]].discard(cycle[-1])
        cycle = Dag.of(waits).cycle()
        if not cycle:
            break
    return None


def check_targets(
    before: Sequence[set[int]],
    targets: Collection[tuple[int, int, str]],
    ids: Sequence[str],
    *,
    path: str,
    problems: Problems,
) -> None:
    """Note each target that its step, given first, does not come after; the third of the three is where it is named."""
    far: dict[int, list[tuple[int, str]]] = {}
    for step, target, where in targets:
        if target not in before[step]:
            far.setdefault(target, []).append((step, where))
    if len(far) > MAX_TARGETS:
        problems.add(path, f"its steps go back to more than {MAX_TARGETS:,} others", "use fewer")
        return
    marks = Dag.of(before if far else ()).marked_descendants(far)
    for bit, (target, uses) in enumerate(far.items()):
        for step, where in uses:
            if not marks[step] >> bit & 1:
                fix = "name a step that this one depends on"
                problems.add(where, f"step {visible(ids[target])} does not lead to this one", fix)
