"""`RunFacts`: what the page shows of a run, folded from its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stratum.contracts.doubts import Doubt, doubts_of
from stratum.contracts.plans.plan import ExecutionPlan, Step
from stratum.contracts.python_value import shown
from stratum.contracts.records import (
    Approved,
    AttemptFinished,
    CallFinished,
    CallStarted,
    LimitRaised,
    PlanProposed,
    Record,
    RunFinished,
    RunStarted,
    ScopeOpened,
    Skipped,
    StartedOver,
    StepsDone,
)
from stratum.contracts.trace import Attempt, TraceRecord
from stratum.engine.report.text import limit_shown


class StepFacts(msgspec.Struct, kw_only=True):
    """One step, or one call."""

    id: str
    name: str
    kind: str
    parent: str = ""
    state: str = "waiting"
    """`done`, `failed`, `cancelled`, `skipped`, `running` or `waiting`."""
    began_ms: int | None = None
    ended_ms: int | None = None
    attempts: int = 0
    picousd: int | None = 0
    tokens: int = 0
    model: str = ""
    tries: tuple[Attempt, ...] = ()
    error: str = ""
    inputs: Any = None
    output: Any = None
    reruns: int = 0


class RunFacts(msgspec.Struct, kw_only=True):
    """One run."""

    run: str
    name: str = ""
    state: str = "running"
    error: str = ""
    by: str = ""
    """Who approved it, and how; empty for a flow."""
    limits: dict[str, int] = {}
    elapsed_ms: int = 0
    picousd: int = 0
    steps: dict[str, StepFacts] = {}
    before: dict[str, tuple[str, ...]] = {}
    """By step of a plan, what it waits for; empty for a flow."""
    repairs: list[tuple[str, str, str]] = []
    """Who sent what to whom: the step that asked, the one that did it again, and why."""
    doubts: list[Doubt] = []
    raises: list[str] = []
    """Who raised the run's limits to what."""


def facts_of(
    run: str, records: Sequence[Record], *, before: Mapping[str, tuple[str, ...]], alive: bool = False
) -> RunFacts:
    """Fold a run's records; `before` are the dependencies of a plan's steps, `alive`: a process is at work on it."""
    facts = RunFacts(run=run, before=dict(before))
    for record in records:
        facts.elapsed_ms = max(facts.elapsed_ms, record.elapsed_ms)
        _note(facts, record)
    facts.doubts = doubts_of(records, alive=alive)
    facts.picousd = sum(step.picousd or 0 for step in facts.steps.values())
    return facts


def _note(facts: RunFacts, record: Record) -> None:
    steps = facts.steps
    match record:
        case RunStarted():
            facts.name = record.name
        case PlanProposed():
            plan = msgspec.json.decode(bytes(record.plan), type=ExecutionPlan)
            facts.name = plan.goal or facts.name
            facts.steps = {step.id: StepFacts(id=step.id, name=_name(step), kind=_kind(step)) for step in plan.steps}
        case Approved():
            facts.by = f"{record.by} ({record.how})"
        case ScopeOpened() if record.scope == "":
            facts.limits = dict(record.limits)
        case LimitRaised() if record.scope == "":
            facts.limits |= record.limits
            facts.raises = [*facts.raises, _raise(record)]
        case CallStarted():
            step = steps.setdefault(record.call, StepFacts(id=record.call, name=record.function, kind=record.type))
            step.kind, step.parent, step.state = record.type, record.parent, "running"
            step.began_ms = record.elapsed_ms
        case AttemptFinished() if record.call in steps:
            step = steps[record.call]
            step.tries, step.attempts = (*step.tries, record.attempt), step.attempts + 1
        case CallFinished():
            _finish(steps[record.call], record.trace, record.elapsed_ms)
        case StepsDone():
            for done in record.steps:
                step = steps.setdefault(done.step, StepFacts(id=done.step, name=done.step, kind="compute"))
                step.kind, step.state, step.attempts = "compute", "done", 1
                step.ended_ms = record.elapsed_ms
                step.began_ms = max(0, record.elapsed_ms - done.duration_us // 1000)
                step.output = _plain(bytes(done.output))
        case Skipped():
            step = steps.setdefault(record.call, StepFacts(id=record.call, name=record.call, kind=""))
            step.state, step.error = "skipped", record.why
        case StartedOver():
            why = "; ".join(violation.for_audit for violation in record.violations)
            facts.repairs = [*facts.repairs, (record.call, record.first, why)]
        case RunFinished():
            facts.state, facts.error = record.state, record.error
        case _:
            pass


def _finish(step: StepFacts, trace: TraceRecord, elapsed_ms: int) -> None:
    step.state = "done" if trace.outcome == "ok" else trace.outcome
    step.ended_ms, step.attempts, step.model = elapsed_ms, trace.attempts, trace.model
    if step.began_ms is None:
        step.began_ms = max(0, elapsed_ms - trace.duration_ms)
    step.picousd = None if trace.cost_usd is None else trace.cost_picousd
    step.tokens = trace.input_tokens + trace.output_tokens
    step.tries, step.reruns = tuple(trace.attempt_details), trace.reruns
    step.error, step.inputs, step.output = trace.error, trace.inputs, trace.output


def _raise(record: LimitRaised) -> str:
    by = f" by {record.by}" if record.by else ""
    return f"raised{by} to {', '.join(limit_shown(axis, limit) for axis, limit in record.limits.items())}"


def _name(step: Step) -> str:
    if step.gate is not None:
        return step.gate.question
    return step.fn or step.intent or (step.program.argv[0] if step.program is not None else step.id)


def _kind(step: Step) -> str:
    if step.kind is not None:
        return step.kind
    return "command" if step.command is not None else "gate" if step.gate is not None else "agent"


def _plain(output: bytes) -> Any:
    value = shown(output)
    return value["value"] if isinstance(value, dict) and set(value) == {"value"} else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
