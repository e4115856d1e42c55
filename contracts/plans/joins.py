"""Joins: steps that begin although not all that they wait for has succeeded; and which steps may therefore fail."""

from __future__ import annotations

from collections.abc import Sequence

from stratum.contracts.plans.dag import Dag
from stratum.contracts.plans.plan import Step
from stratum.contracts.problem import Problems, at


def is_join(step: Step) -> bool:
    """Whether it may begin though something it waits for has failed."""
    return step.require != "all"


def needed(step: Step, waits_for: int) -> int:
    """How many of the steps that it waits for must have succeeded."""
    if isinstance(step.require, int):
        return step.require
    return 1 if step.require == "any" else waits_for


def check_require(step: Step, waits_for: int, *, path: str, problems: Problems) -> None:
    """Note what can never be met, and what means nothing."""
    if not is_join(step):
        return
    where = at(path, "require")
    if waits_for == 0:
        problems.add(where, "the step waits for none", "name some in depends_on, or remove it")
    elif needed(step, waits_for) > waits_for:
        problems.add(where, f"the step waits for {waits_for} only", f"require {waits_for} at most")


def tolerated(steps: Sequence[Step], dag: Dag, *, returned: int) -> bytes:
    """By step: 1 where the plan goes on though it fails, since it leads to joins alone; empty if no step is a join.

    `returned` is the step whose output the plan returns: it may not fail.
    """
    joins = bytes(map(is_join, steps))
    if not any(joins):
        return b""
    may_fail = bytearray(len(steps))
    for number in reversed(dag.order()):
        after = dag.successors[number]
        may_fail[number] = bool(after) and number != returned and all(joins[one] or may_fail[one] for one in after)
    return bytes(may_fail)
