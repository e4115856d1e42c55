"""The audit: what each step took, one line a step, in the form people read and commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Literal

import msgspec

from stratum.contracts.money import format_usd
from stratum.contracts.records import CallFinished, PlanProposed, Record
from stratum.contracts.trace import Attempt, TraceRecord

StepState = Literal["passed", "failed", "cancelled", "running"]


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One step's share of the run."""

    step: str
    attempts: int
    picousd: int | None
    """`None`: no price is known for its model."""
    retries: tuple[str, ...] = ()
    """Why each rejected attempt was rejected, as the audit words it."""
    state: StepState = "passed"
    error: str = ""
    flags: tuple[str, ...] = ()
    """What nobody verified: conditions that an agent attests, gates that a policy approved."""

    def __str__(self) -> str:
        text = f"Step {self.step}: {_counted(self.attempts, 'attempt')}, {_amount(self.picousd)}"
        if self.retries:
            text += f" — retry: {'; '.join(self.retries)}"
        if self.state != "passed":
            text += f" — {self.state}" + (f": {self.error}" if self.error else "")
        if self.flags:
            text += f" — {'; '.join(self.flags)}"
        return text


def audit_line(trace: TraceRecord) -> AuditLine:
    """A call's line, from its trace."""
    rejected = [attempt for attempt in trace.attempt_details if attempt.violations]
    retried = rejected if trace.outcome == "ok" else rejected[: max(0, trace.attempts - 1)]
    return AuditLine(
        step=trace.step_id,
        attempts=trace.attempts,
        picousd=None if trace.cost_usd is None else trace.cost_picousd,
        retries=tuple(", ".join(violation.for_audit for violation in attempt.violations) for attempt in retried),
        state={"ok": "passed", "failed": "failed", "cancelled": "cancelled"}[trace.outcome],  # type: ignore[arg-type]  # the three outcomes
        error=trace.headline,
        flags=flags_of(trace.attempt_details),
    )


def flags_of(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """What nobody verified of the result that was accepted."""
    if not attempts or attempts[-1].violations:
        return ()
    last = attempts[-1]
    return (*(f"attested, not verified: {condition}" for condition in last.attested), *filter(None, [last.flagged]))


def traces_of(records: Iterable[Record]) -> dict[str, TraceRecord]:
    """By step. A resumed run records one again only if it had not completed: the last word on each counts."""
    return {record.call: record.trace for record in records if isinstance(record, CallFinished)}


def audit_of(records: Sequence[Record]) -> tuple[list[AuditLine], int]:
    """A run's lines, and its retries beyond them: re-runs that only followed a repair.

    What a plan's functions and judges called is part of their step, which has a line of its own, and of what that cost.
    """
    traces = traces_of(records)
    if not any(isinstance(record, PlanProposed) for record in records):
        return [audit_line(trace) for trace in traces.values()], 0
    within: dict[str, int] = {}
    for call, trace in traces.items():
        if "#" in call:
            step = "/".join(takewhile(lambda part: "#" not in part, call.split("/")))
            within[step] = within.get(step, 0) + trace.cost_picousd
    shown = {call: trace for call, trace in traces.items() if "#" not in call}
    lines = [_with(audit_line(trace), within.get(call, 0)) for call, trace in shown.items()]
    return lines, sum(trace.reruns for trace in shown.values())


def _with(line: AuditLine, picousd: int) -> AuditLine:
    return line if line.picousd is None else msgspec.structs.replace(line, picousd=line.picousd + picousd)


def render_audit(lines: Sequence[AuditLine], *, extra_retries: int) -> str:
    """The whole audit; `extra_retries` are re-runs that only followed a repair upstream.

    The total rounds the exact sum: the lines above it are rounded one by one. Where one is unknown, it is the least that it can be.
    """
    retries = sum(len(line.retries) for line in lines) + extra_retries
    picousd = sum(line.picousd or 0 for line in lines)
    at_least = "at least " if any(line.picousd is None for line in lines) else ""
    return "\n".join(
        [
            *map(str, lines),
            f"Total: {at_least}{_amount(picousd)}, {_counted(retries, 'retry', 'retries')}, {_verdict(lines)}",
        ]
    )


def _verdict(lines: Sequence[AuditLine]) -> str:
    counts = {state: sum(line.state == state for line in lines) for state in ("failed", "cancelled", "running")}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or (
        "all passing" if lines else "nothing was done"
    )


def _amount(picousd: int | None) -> str:
    return "cost unknown" if picousd is None else f"{format_usd(picousd)} USD"


def _counted(count: int, singular: str, plural: str = "") -> str:
    return f"{count} {singular if count == 1 else plural or singular + 's'}"
