"""OpenTelemetry: flows, steps and attempts as spans, by the official API; needs the extra `otel`.

    from stratum import otel

    async with stratum.open_runtime() as rt:
        with otel.observe(rt):
            ...

Names are those of the gen_ai semantic conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/, 2026-11) where they have one,
else `stratum.*`. A run's span is a child of the span its caller is in. Prompts, inputs and answers are never exported.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from stratum.contracts.records import (
    AttemptFinished,
    CallFinished,
    CallStarted,
    Record,
    RunFinished,
    RunResumed,
    RunStarted,
)
from stratum.contracts.trace import Attempt, TraceRecord
from stratum.contracts.violation import Violation

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from stratum import aio
    from stratum.engine.runtime import Runtime

__all__ = ["observe"]

SCOPE: Final = "stratum"
SESSION: Final = "session"
"""The name of a session's own run: no work of its own, so no span; its calls are children of the caller's."""
Attributes = Mapping[str, str | int | float | bool]


@contextmanager
def observe(
    runtime: Runtime | aio.Runtime,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    details: bool = False,
) -> Generator[None]:
    """Export what happens in `runtime` while the block lasts, to the given providers or else the global ones.

    Violations are events of their step's span. They quote what the model said only with `details=True`. What an exporter
    raises is logged, and changes no result.
    """
    spans = _Spans(
        trace.get_tracer(SCOPE, tracer_provider=tracer_provider),
        _Meters(metrics.get_meter(SCOPE, meter_provider=meter_provider)),
        provider=runtime.provider_name,
        details=details,
    )
    with runtime.events.listen(spans.hear):
        try:
            yield
        finally:
            spans.end_all()


class _Meters:
    def __init__(self, meter: metrics.Meter) -> None:
        self.tokens = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")
        self.duration = meter.create_histogram("gen_ai.client.operation.duration", unit="s")
        self.cost = meter.create_counter("stratum.cost", unit="USD", description="Cost of settled attempts")
        self.retries = meter.create_counter("stratum.retries", unit="{attempt}", description="Attempts after the first")

    def count(self, attempt: Attempt, named: Mapping[str, str]) -> None:
        """Of the call and model that it is `named` for."""
        if attempt.number > 1:
            self.retries.add(1, named)
        self.duration.record(attempt.duration_ms / 1000, named)
        self.cost.add(attempt.picousd / 1e12, named)
        if attempt.usage is not None:
            self.tokens.record(attempt.usage.input_tokens, {**named, "gen_ai.token.type": "input"})
            self.tokens.record(attempt.usage.output_tokens, {**named, "gen_ai.token.type": "output"})


class _Spans:
    """The open spans of runs and steps, by what they are of."""

    def __init__(self, tracer: trace.Tracer, meters: _Meters, *, provider: str, details: bool) -> None:
        self._tracer = tracer
        self._meters = meters
        self._provider = provider
        self._details = details
        self._runs: dict[str, Span] = {}
        self._steps: dict[tuple[str, str], tuple[Span, str]] = {}
        """With the model that was asked for."""

    def hear(self, run: str, record: Record) -> None:
        """One record, in the task that appended it."""
        match record:
            case RunStarted() if record.name != SESSION:
                self._runs[run] = self._tracer.start_span(record.name, attributes={"stratum.run_id": run})
            case RunResumed():
                attributes: Attributes = {"stratum.run_id": run, "stratum.resumed": True}
                self._runs[run] = self._tracer.start_span("resume", attributes=attributes)
            case CallStarted():
                self._begin(run, record)
            case AttemptFinished():
                self._attempt(run, record.call, record.attempt)
            case CallFinished():
                self._finish(run, record.call, record.trace)
            case RunFinished():
                self._end_run(run, record)
            case _:
                pass

    def end_all(self) -> None:
        """Nothing more will be heard."""
        for span, _ in self._steps.values():
            span.end()
        for span in self._runs.values():
            span.end()

    def _begin(self, run: str, record: CallStarted) -> None:
        span = self._tracer.start_span(
            record.function,
            context=self._around(run, record.parent),
            attributes={"stratum.run_id": run, "stratum.step_id": record.call, "stratum.kind": record.type},
        )
        self._steps[run, record.call] = span, record.model

    def _around(self, run: str, step: str) -> Context | None:
        """The context of the step, or of the run; `None`, the caller's own, directly in a session."""
        found = self._steps.get((run, step))
        span = found[0] if found else self._runs.get(run)
        return None if span is None else trace.set_span_in_context(span)

    def _attempt(self, run: str, step: str, attempt: Attempt) -> None:
        span, model = self._steps.get((run, step), (None, ""))
        if span is None:
            return  # it began before the block
        named: dict[str, str] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._provider,
            "gen_ai.request.model": model,
        }
        self._meters.count(attempt, named)
        ended_ns = time.time_ns()
        sent = self._tracer.start_span(
            f"chat {model}",
            context=trace.set_span_in_context(span),
            kind=SpanKind.CLIENT,
            start_time=ended_ns - attempt.duration_ms * 1_000_000,
            attributes={**named, **_measured(attempt)},
        )
        if attempt.error:
            sent.set_status(Status(StatusCode.ERROR, attempt.error.partition(":")[0]))
        sent.end(ended_ns)
        for violation in attempt.violations:
            span.add_event("stratum.violation", _violation(attempt, violation, details=self._details))

    def _finish(self, run: str, step: str, done: TraceRecord) -> None:
        span, _ = self._steps.pop((run, step), (None, ""))
        if span is None:
            return
        span.set_attributes(_outcome(done))
        if done.outcome != "ok":
            span.set_status(Status(StatusCode.ERROR, done.outcome))
            span.set_attribute("error.type", done.error.partition(":")[0] or done.outcome)
        span.end()

    def _end_run(self, run: str, record: RunFinished) -> None:
        for key in [key for key in self._steps if key[0] == run]:
            self._steps.pop(key)[0].end()
        span = self._runs.pop(run, None)
        if span is None:
            return
        span.set_attribute("stratum.state", record.state)
        if record.state != "succeeded":
            span.set_status(Status(StatusCode.ERROR, record.state))
            span.set_attribute("error.type", record.error.partition(":")[0] or record.state)
        span.end()


def _measured(attempt: Attempt) -> Attributes:
    usage = attempt.usage
    tokens: Attributes = (
        {}
        if usage is None
        else {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        }
    )
    served: Attributes = {"openai.response.service_tier": attempt.service_tier} if attempt.service_tier else {}
    return {
        **tokens,
        **served,
        "gen_ai.response.id": attempt.response_id,
        "stratum.attempt": attempt.number,
        "stratum.cost_usd": attempt.picousd / 1e12,
        "stratum.estimated": attempt.estimated,
        "stratum.transport_retries": attempt.transport_retries,
    }


def _violation(attempt: Attempt, violation: Violation, *, details: bool) -> Attributes:
    """Its condition is ours; its detail quotes the model."""
    said: Attributes = {"stratum.detail": violation.detail} if details and violation.detail else {}
    return {
        "stratum.attempt": attempt.number,
        "stratum.kind": violation.kind,
        "stratum.condition": violation.condition,
        **said,
    }


def _outcome(done: TraceRecord) -> Attributes:
    return {
        "stratum.outcome": done.outcome,
        "stratum.attempts": done.attempts,
        "stratum.prompt_hash": done.compiled_prompt_hash,
        "stratum.contract_hash": done.contract_hash,
        "stratum.cost_usd": done.cost_picousd / 1e12,
        "stratum.transport_retries": done.transport_retries,
    }
