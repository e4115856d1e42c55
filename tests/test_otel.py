"""OpenTelemetry, as the official in-memory exporter sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pytest
import trio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    Price,
    Runtime,
    Usage,
    aio,
    compute,
    contract,
    flow,
    infer,
    open_runtime,
    otel,
)
from stratum.testing import Reply, scripted

USAGE = Usage(input_tokens=100, cached_tokens=40, output_tokens=20)
PRICE = Price.per_million(input=1, output=1)


@contract
class Mood:
    name: str


@infer(intent="Say how the writer feels", ensure=lambda r: r.name != "unsure", retries=2)
def mood(text: str) -> Mood: ...


@compute(inline=True)
def shout(text: str) -> str:
    return text.upper()


@flow
async def report(text: str) -> str:
    return await shout((await mood(text)).name)


class Seen:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    @contextmanager
    def watching(self, runtime: Runtime | aio.Runtime, *, details: bool = False) -> Generator[None]:
        with otel.observe(runtime, tracer_provider=self.tracers, meter_provider=self.meters, details=details):
            yield

    def span(self, name: str) -> ReadableSpan:
        (found,) = (span for span in self.exporter.get_finished_spans() if span.name == name)
        return found

    def sums(self) -> dict[str, float]:
        """Every metric's sum over its attributes."""
        read = self.reader.get_metrics_data()
        assert read is not None
        return {
            metric.name: sum(getattr(point, "sum", getattr(point, "value", 0)) for point in metric.data.data_points)
            for resource in read.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def unsure_then_glad() -> object:
    answers: Sequence[str] = ("unsure", "glad")
    return scripted(*(Reply(value=Mood(name=name), usage=USAGE) for name in answers), price=PRICE)


async def run_report(seen: Seen, *, details: bool = False) -> None:
    async with open_runtime(provider=unsure_then_glad(), journal=None, model="house") as runtime:  # type: ignore[arg-type]
        with seen.watching(runtime, details=details):
            assert await report("so-so") == "GLAD"


async def test_flows_steps_and_attempts_are_nested_spans_with_the_conventions_attributes() -> None:
    """CASES F15."""
    seen = Seen()
    await run_report(seen)
    root, call, sent = seen.span("report"), seen.span("mood"), seen.exporter.get_finished_spans()[:2]
    assert root.parent is None
    assert root.context is not None and call.context is not None
    assert call.parent is not None and call.parent.span_id == root.context.span_id
    assert [attempt.parent.span_id for attempt in sent if attempt.parent] == [call.context.span_id] * 2
    assert [attempt.name for attempt in sent] == ["chat house"] * 2
    assert (
        dict(sent[0].attributes or {}).items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "scripted",
            "gen_ai.request.model": "house",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 40,
        }.items()
    )
    attributes = dict(call.attributes or {})
    assert (attributes["stratum.attempts"], attributes["stratum.outcome"]) == (2, "ok")
    assert len(str(attributes["stratum.prompt_hash"])) == 12
    assert seen.span("shout").parent == call.parent
    assert dict(root.attributes or {})["stratum.state"] == "succeeded"


@pytest.mark.parametrize("details", [False, True])
async def test_a_violation_is_an_event_that_quotes_the_model_only_when_asked(details: bool) -> None:
    """CASES F15."""
    seen = Seen()
    await run_report(seen, details=details)
    (event,) = seen.span("mood").events
    attributes = dict(event.attributes or {})
    assert (attributes["stratum.kind"], attributes["stratum.condition"]) == ("ensure", 'r.name != "unsure"')
    assert ("stratum.detail" in attributes) is details


async def test_tokens_cost_and_retries_are_metered() -> None:
    seen = Seen()
    await run_report(seen)
    sums = seen.sums()
    assert (sums["gen_ai.client.token.usage"], sums["stratum.retries"]) == (240, 1)
    assert sums["stratum.cost"] == pytest.approx(240e-6)
    assert "gen_ai.client.operation.duration" in sums


async def test_a_failure_is_the_status_of_its_step_and_run(autojump_clock: MockClock) -> None:
    @flow(budget=Budget(ms=20))
    async def slow() -> None:
        await mood("x")

    seen = Seen()
    provider = scripted(Reply(value=Mood(name="glad"), delay_s=60))
    async with open_runtime(provider=provider, journal=None) as runtime:
        with seen.watching(runtime), pytest.raises(BudgetExceeded):
            await slow()
    assert seen.span("mood").status.status_code is StatusCode.ERROR
    assert (
        dict(seen.span("slow").attributes or {}).items()
        >= {
            "stratum.state": "exhausted",
            "error.type": "BudgetExceeded",
        }.items()
    )


async def test_an_exporter_that_fails_changes_no_result(caplog: pytest.LogCaptureFixture) -> None:
    """CASES F15."""

    class Broken(SpanProcessor):
        def on_start(self, *_: object, **__: object) -> None:
            raise LookupError("no collector")

    tracers = TracerProvider()
    tracers.add_span_processor(Broken())
    async with open_runtime(provider=unsure_then_glad(), journal=None) as runtime:  # type: ignore[arg-type]
        with otel.observe(runtime, tracer_provider=tracers), caplog.at_level(logging.ERROR, "stratum"):
            assert await report("so-so") == "GLAD"
    assert "no collector" in caplog.text


def test_under_asyncio_a_run_is_a_child_of_its_requests_span() -> None:
    seen = Seen()

    async def program() -> None:
        async with aio.open_runtime(provider=unsure_then_glad(), journal=None) as rt:  # type: ignore[arg-type]
            with seen.watching(rt), seen.tracers.get_tracer("web").start_as_current_span("GET /"):
                await rt.run(report, "so-so")

    asyncio.run(program())
    request, run = seen.span("GET /"), seen.span("report")
    assert request.context is not None and run.parent is not None
    assert run.parent.span_id == request.context.span_id


async def test_spans_of_runs_at_once_do_not_mix() -> None:
    seen = Seen()
    provider = scripted(otherwise=Reply(value=Mood(name="glad"), usage=USAGE))
    async with open_runtime(provider=provider, journal=None) as runtime:
        with seen.watching(runtime):
            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(report, f"{number}")
    spans = seen.exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans if span.context}
    assert len(spans) == 80
    for span in spans:
        if span.name == "mood":
            assert span.parent is not None and span.attributes is not None
            run = by_id[span.parent.span_id]
            assert run.attributes is not None and run.attributes["stratum.run_id"] == span.attributes["stratum.run_id"]
