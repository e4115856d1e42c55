"""Bare steps: those that call a function, and of which a plan asks nothing else. They are most of a large plan."""

from __future__ import annotations

from collections.abc import Sequence

from stratum.contracts.plans.joins import is_join
from stratum.contracts.plans.plan import ExecutionPlan, Kind, Step


def bare_steps(plan: ExecutionPlan, kinds: Sequence[Kind], *, may_fail: bytes) -> bytes:
    """By step: 1 where it is one, and is not there for another step; `may_fail` is the plan's `tolerated`."""
    needed = {id for step in plan.steps for id in (*step.starts_over_from, step.on_fail)}
    bare = bytes(
        kind == "compute" and step.id not in needed and not _asks(step)
        for step, kind in zip(plan.steps, kinds, strict=True)
    )
    if not may_fail:
        return bare
    if not plan.fail_fast:
        return bytes(len(bare))
    return bytes(one and not fails for one, fails in zip(bare, may_fail, strict=True))


def _asks(step: Step) -> bool:
    """Whether more is said of it than what it calls, with what, and after what."""
    more = (step.ensure, step.when, step.on_fail, step.repeat, step.budget, step.repair, step.model, step.service_tier)
    return is_join(step) or any(more)
