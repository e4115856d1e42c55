"""A plan's status, made of what its records say and, where it is live, of what is being asked for right now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from stratum.actors.amount import Amount
from stratum.contracts.audit import flags_of
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.status import PlanState, PlanStatus, StepStanding, StepStatus
from stratum.contracts.trace import Attempt
from stratum.engine.plans.left import left_of
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.step_history import StepHistory

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun
    from stratum.engine.plans.steps import PlanSteps


def live_status(run: PlanRun) -> PlanStatus:
    """Of a run in this process."""
    past = run.log.past
    assert past.proposed is not None, "a plan's run begins with its proposal"
    envelope = run.envelope
    left: dict[str, int] = {}
    settled = in_doubt = 0
    if envelope is not None:
        scope = envelope.scope
        settled, in_doubt = scope.settled.picousd, scope.in_doubt.picousd
        left = left_of(scope, left_ms=run.clock.left_ms)
    return PlanStatus(
        run=run.id,
        digest=past.proposed.digest,
        goal=run.compiled.plan.goal,
        state=run.state,
        steps=() if run.steps is None else run.shown.all(run.steps, past),
        assignments=tuple(run.assignments[id].assignment for id in _in_order(run.compiled, run.assignments)),
        questions=tuple(run.asking[id].question for id in _in_order(run.compiled, run.asking)),
        settled_picousd=settled,
        in_doubt_picousd=in_doubt,
        left=left,
        version=run.version,
        output=run.output,
        error="" if run.failure is None else str(run.failure),
    )


class ShownSteps:
    """The statuses of a live run's steps as they were shown last: in a long plan few of them have changed since."""

    def __init__(self) -> None:
        self._standing: list[StepStanding] = []
        self._shown: list[StepStatus] = []

    def all(self, steps: PlanSteps, past: PlanHistory) -> tuple[StepStatus, ...]:
        """As they stand now."""
        index, altered = steps.compiled.index, past.take_altered()
        changed = {number for number, then in enumerate(self._standing) if steps.standing[number] is not then}
        changed |= {index[id] for id in altered if id in index}
        for number in changed if self._shown else range(len(steps.standing)):
            error = steps.errors.get(number, "")
            status = _step(steps.compiled, number, past, standing=steps.standing[number], error=error)
            self._shown[number : number + 1] = [status]
        self._standing = list(steps.standing)
        return tuple(self._shown)


def recorded_status(run: str, compiled: CompiledPlan, past: PlanHistory, *, state: PlanState) -> PlanStatus:
    """Of a run as its records have it, wherever it runs."""
    assert past.proposed is not None, "a plan's run begins with its proposal"
    books = past.ledger.scopes.get("")
    output = None
    if past.finished is not None and past.finished.state == "succeeded":
        output = msgspec.json.decode(bytes(past.finished.output))
    return PlanStatus(
        run=run,
        digest=past.proposed.digest,
        goal=compiled.plan.goal,
        state=state,
        steps=tuple(_step(compiled, number, past) for number in range(len(compiled.plan.steps))),
        settled_picousd=0 if books is None else books.settled.picousd,
        in_doubt_picousd=0 if books is None else books.in_doubt.picousd,
        left=_recorded_left(compiled, past),
        output=output,
        error="" if past.finished is None else past.finished.error,
    )


def _recorded_left(compiled: CompiledPlan, past: PlanHistory) -> dict[str, int]:
    """Of the budget as it was raised since; all of it where nothing has begun."""
    budget, books = past.budget(compiled.plan.budget, ""), past.ledger.scopes.get("")
    if budget is None:
        return {}
    counted = Amount() if books is None else books.counted
    used = {"usd": counted.picousd, "tokens": counted.tokens, "ms": past.scope_used_ms[""]}
    left = {axis: limit - used[axis] for axis, limit in budget.limits.items()}
    return left if "ms" not in left else {**left, "ms": max(0, left["ms"])}


def _in_order(compiled: CompiledPlan, ids: Iterable[str]) -> list[str]:
    """Step ids in the plan's order; those of plans within it where their step is."""
    return sorted(ids, key=lambda id: (compiled.index[id.partition("/")[0]], id))


def _step(
    compiled: CompiledPlan, number: int, past: PlanHistory, *, standing: StepStanding | None = None, error: str = ""
) -> StepStatus:
    step = compiled.plan.steps[number]
    known = past.by_id.get(step.id)
    name = step.fn or step.intent or (step.program.argv[0] if step.program is not None else compiled.kinds[number])
    if known is None:
        # Of a run that has ended, what did not begin does not wait any more.
        not_begun: StepStanding = "waiting" if past.finished is None else "blocked"
        done: StepStanding = "done" if step.id in past.plain else not_begun
        return StepStatus(id=step.id, fn=name, kind=compiled.kinds[number], standing=standing or done, error=error)
    attempts = [*known.carried, *known.attempts]
    finished = known.recorded.finished
    return StepStatus(
        id=step.id,
        fn=name,
        kind=compiled.kinds[number],
        standing=standing or _recorded_standing(known, run_ended=past.finished is not None),
        attempts=len(attempts) - known.reruns,
        picousd=_cost(known, attempts),
        retries=tuple(
            ", ".join(violation.for_audit for violation in attempt.violations)
            for attempt in attempts
            if attempt.violations
        ),
        error=error or ("" if finished is None else finished.trace.headline),
        flags=flags_of(known.attempts),
    )


def _cost(known: StepHistory, attempts: list[Attempt]) -> int | None:
    finished = known.recorded.finished
    if finished is not None and finished.trace.cost_usd is None:
        return None
    return sum(attempt.picousd for attempt in attempts)


def _recorded_standing(known: StepHistory, *, run_ended: bool) -> StepStanding:
    finished = known.recorded.finished
    if known.skipped is not None:
        return "skipped"
    if finished is not None and (run_ended or finished.outcome != "cancelled"):
        return {"ok": "done", "failed": "failed", "cancelled": "cancelled"}[finished.outcome]  # type: ignore[return-value]  # the three outcomes
    if known.gate is not None:
        return "asking"
    if known.handed_out is not None:
        return "handed_out"
    return "running" if known.begun else "waiting"
