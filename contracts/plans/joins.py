"""Joins: steps that begin although not all that they wait for has succeeded; and which steps may therefore fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stratum.contracts.codec import Codec
from stratum.contracts.errors import ContractViolation
from stratum.contracts.plans.dag import Dag
from stratum.contracts.plans.plan import ExecutionPlan, Step
from stratum.contracts.problem import Problems, at, visible
from stratum.contracts.reference import Malformed, read_reference


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


def check_takes_null(step: Step, name: str, consumer: Codec[Any], *, path: str, problems: Problems) -> None:
    """Note an input of a join that does not take null, which is the output of `step` if that has failed."""
    try:
        consumer.decode_value(b"null")
    except ContractViolation:
        what = f"step {visible(step.id)} may have failed, and its output is null then"
        problems.add(path, what, f"have {visible(name)} take {consumer.name} | None")


def tolerated(plan: ExecutionPlan, index: Mapping[str, int], dag: Dag) -> bytes:
    """By step: 1 where the plan goes on though it fails, since it leads to joins alone; empty if no step is a join.

    The step whose output the plan returns may not fail. `index` has the steps' numbers by id.
    """
    joins = bytes(map(is_join, plan.steps))
    if not any(joins):
        return b""
    returned = _returned(plan, index)
    may_fail = bytearray(len(joins))
    for number in reversed(dag.order()):
        after = dag.successors[number]
        may_fail[number] = bool(after) and number != returned and all(joins[one] or may_fail[one] for one in after)
    return bytes(may_fail)


def _returned(plan: ExecutionPlan, index: Mapping[str, int]) -> int:
    """The step whose output the plan returns, or a part of it."""
    try:
        named = read_reference(plan.output, path="").step if plan.output else ""
    except Malformed:
        named = ""
    return index.get(named, len(plan.steps) - 1)
