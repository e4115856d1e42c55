"""Service tiers: what is sent, what is reserved for it, and that what an answer says is what is booked."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import trio
from tests.fakes.openai_server import Behaviour, Exchange, FakeOpenAI, open_server
from trio.testing import MockClock

from stratum import (
    Budget,
    ContractDefinitionError,
    Price,
    Runtime,
    UnknownPrice,
    Usage,
    infer,
    open_runtime,
)
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.render import render_details
from stratum.contracts.records import CallFinished, Reserved, Settled
from stratum.engine.dialects.chat import ChatDialect
from stratum.engine.dialects.protocol import Dialect
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.pricing.published_price import price_of
from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.protocol import Answer
from stratum.engine.providers.scripted import Reply, scripted
from stratum.plans import Approvals, Functions, open_plans, read_plan

USED = Usage(input_tokens=1000, output_tokens=100)
# USD per million tokens of gpt-5-mini: OpenAI's price page, 2026-11.
STANDARD, FLEX, PRIORITY = (0.25, 2.0), (0.125, 1.0), (0.45, 3.6)


@infer(intent="Say a word", model="gpt-5-mini", max_output_tokens=1000)
def say(about: str) -> str: ...


@infer(intent="Say a word", model="gpt-5-mini", max_output_tokens=1000, service_tier="flex")
def say_flex(about: str) -> str: ...


@infer(intent="Say a word", model="gpt-5-mini", max_output_tokens=1000, service_tier="priority")
def say_first(about: str) -> str: ...


@infer(intent="Say a word", model="gpt-5-mini", max_output_tokens=1000, service_tier="auto")
def say_auto(about: str) -> str: ...


@infer(intent="Say a word", model="gpt-5-mini", max_output_tokens=1000, service_tier="default")
def say_standard(about: str) -> str: ...


def served_as(tier: object) -> Behaviour:
    """An answer that says so."""

    async def behave(exchange: Exchange) -> None:
        exchange.bill(USED)
        extra = {} if tier is None else {"service_tier": tier}
        body = exchange.dialect.write(
            tool=exchange.received.tool, arguments=b'{"value":"x"}', usage=USED, model="gpt-5-mini", extra=extra
        )
        if not exchange.received.streamed:
            await exchange.respond(body)
            return
        await exchange.begin_events()
        for event in exchange.dialect.write_stream(body):
            await exchange.send_event(event)
        await exchange.end_events()

    return behave


@asynccontextmanager
async def opened(behaviour: Behaviour, **options: Any) -> AsyncGenerator[tuple[Runtime, FakeOpenAI]]:
    """A runtime that takes the server on the loopback interface for OpenAI's own."""
    api, stream = options.pop("api", "responses"), options.pop("stream", False)
    async with open_server(behaviour) as server:
        provider = OpenAI("key", server.url, name="openai", api=api, stream=stream)
        async with open_runtime(provider=provider, journal=None, **options) as runtime:
            yield runtime, server


async def books(runtime: Runtime) -> tuple[Reserved, Settled, CallFinished]:
    """The last of each."""
    records = await runtime.journal.read(runtime.session)
    return tuple(  # type: ignore[return-value]
        [record for record in records if isinstance(record, kind)][-1] for kind in (Reserved, Settled, CallFinished)
    )


def cost(rates: tuple[float, float]) -> int:
    return Price.per_million(input=rates[0], output=rates[1]).cost(USED)


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("step", "sent", "reported", "booked"),
    [
        (say, None, None, STANDARD),
        (say, None, "default", STANDARD),
        (say_standard, "default", "default", STANDARD),
        (say_flex, "flex", "flex", FLEX),
        (say_flex, "flex", "default", STANDARD),
        (say_first, "priority", "priority", PRIORITY),
        (say_first, "priority", "default", STANDARD),
        (say_auto, "auto", "priority", PRIORITY),
        (say_auto, "auto", "fast", PRIORITY),
        (say_auto, "auto", "scale", STANDARD),
        (say_auto, "auto", "flex", FLEX),
    ],
)
async def test_what_the_answer_says_is_what_is_booked(
    api: Any, stream: bool, step: Any, sent: str | None, reported: str | None, booked: tuple[float, float]
) -> None:
    async with opened(served_as(reported), api=api, stream=stream) as (runtime, server):
        await step("x")
        reserved, settled, finished = await books(runtime)
    assert json.loads(server.requests[0]).get("service_tier") == sent
    assert settled.picousd == cost(booked)
    assert finished.trace.cost_picousd == cost(booked)
    assert finished.trace.attempt_details[0].service_tier == (reported or "")
    if (step, reported) != (say_flex, "default"):  # which OpenAI does not do
        assert reserved.picousd >= settled.picousd


@pytest.mark.parametrize(
    ("step", "tier", "dearest"),
    [(say, None, STANDARD), (say_flex, "flex", FLEX), (say_first, "priority", PRIORITY), (say_auto, "auto", PRIORITY)],
)
async def test_the_price_of_the_dearest_tier_that_may_apply_is_reserved(
    step: Any, tier: str | None, dearest: tuple[float, float]
) -> None:
    async with opened(served_as(None)) as (runtime, _):
        quote = runtime.quote(step, "x")
        await step("x")
        reserved, _, _ = await books(runtime)
    assert quote is not None and quote.service_tier == tier
    price = Price.per_million(input=dearest[0], output=dearest[1])
    worst = price.worst_case(input_tokens=quote.input_tokens, output_tokens=quote.output_tokens)
    assert reserved.picousd == quote.picousd == worst


@pytest.mark.parametrize("unreadable", ["auto", "turbo", 7, ["priority"], {"a": 1}, None])
@pytest.mark.parametrize("dialect", [ResponsesDialect(), ChatDialect()])
async def test_an_answer_that_does_not_tell_is_booked_at_what_was_reserved(dialect: Dialect, unreadable: Any) -> None:
    async with opened(
        served_as(unreadable),
        service_tier="priority",
        api="chat" if dialect.path == "/chat/completions" else "responses",
    ) as (runtime, server):
        assert await say("x") == "x"
        _, settled, _ = await books(runtime)
    assert json.loads(server.requests[0])["service_tier"] == "priority"
    assert settled.picousd == cost(PRIORITY)


async def test_a_project_that_is_set_to_priority_is_reserved_for_once_it_is_known() -> None:
    async with opened(served_as("priority")) as (runtime, server):
        await say("x")
        first, settled, _ = await books(runtime)
        await say("x")
        second, _, _ = await books(runtime)
    assert settled.picousd == cost(PRIORITY)
    assert second.picousd == pytest.approx(first.picousd * 1.8)
    assert all("service_tier" not in json.loads(body) for body in server.requests)


async def test_the_calls_own_tier_wins_over_the_runtimes_and_that_over_the_environments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STRATUM_SERVICE_TIER", "flex")
    async with opened(served_as(None)) as (_, server):
        await say("x")
        await say_first("x")
    async with opened(served_as(None), service_tier="default") as (_, other):
        await say("x")
    sent = [json.loads(body)["service_tier"] for body in (*server.requests, *other.requests)]
    assert sent == ["flex", "priority", "default"]


async def test_a_price_of_your_own_holds_in_every_tier() -> None:
    own = Price.per_million(input=1, output=1)
    async with opened(served_as("priority"), prices={"gpt-5-mini": own}) as (runtime, _):
        await say_auto("x")
        _, settled, _ = await books(runtime)
    assert settled.picousd == own.cost(USED)


async def test_a_model_without_a_price_in_the_tier_is_refused_under_a_usd_budget() -> None:
    @infer(intent="Say a word", model="gpt-5-nano", service_tier="priority")
    def nano(about: str) -> str: ...

    assert price_of("gpt-5-nano", provider="openai") is not None
    assert price_of("gpt-5-nano", provider="openai", tiers=("priority",)) is None
    async with opened(served_as(None), budget=Budget(usd=1)) as (_, server):
        with pytest.raises(UnknownPrice, match=r"'gpt-5-nano' of openai in service tier 'priority'; pass open_runtime"):
            await nano("x")
    assert server.requests == []


async def test_a_fallback_without_a_price_in_the_tier_is_refused_before_anything_is_sent() -> None:
    @infer(intent="Say a word", model=["gpt-5-mini", "gpt-5-nano"], service_tier="priority")
    def either(about: str) -> str: ...

    async with opened(served_as(None), budget=Budget(usd=1)) as (_, server):
        with pytest.raises(UnknownPrice, match="gpt-5-nano"):
            await either("x")
    assert server.requests == []


async def test_flex_without_room_is_asked_again_and_costs_nothing(autojump_clock: MockClock) -> None:
    no_room = Answer(
        status=429,
        headers={"retry-after": "30"},
        body=b'{"error": {"code": "resource_unavailable", "message": "Resource unavailable"}}',
    )
    provider = scripted(no_room, no_room, Reply(value="x", usage=USED), price=Price.per_million(input=1, output=1))
    async with open_runtime(provider=provider, journal=None) as runtime:
        await say_flex("x")
        assert runtime.place.envelope.scope.in_doubt.picousd == 0
    assert trio.current_time() == 60
    assert len(provider.requests) == 3


@pytest.mark.parametrize(("tier", "affords"), [("flex", True), ("default", False), ("priority", False)])
async def test_a_budget_may_afford_flex_only(tier: Any, affords: bool) -> None:
    @infer(intent="Say it", model="gpt-5-mini", max_output_tokens=600, service_tier=tier, budget=Budget(usd=0.00006))
    def word() -> Literal["x"]: ...

    async with opened(served_as(tier)) as (runtime, _):
        quote = runtime.quote(word)
    assert quote is not None and quote.fits is affords


@pytest.mark.parametrize(
    ("tier", "says"),
    [
        ("batch", r'a job of up to 24 hours, and not a call that is waited for; pass "flex", which costs as much'),
        ("fast", r"there is no tier 'fast'; pass one of auto, default, flex, priority"),
        ("", r"there is no tier ''"),
        (7, r"there is no tier 7"),
    ],
)
async def test_what_is_no_tier_is_refused_with_what_to_do(tier: Any, says: str) -> None:
    def word() -> str: ...

    with pytest.raises(ContractDefinitionError, match=rf"word\.service_tier: .*{says}"):
        infer(intent="Say a word", service_tier=tier)(word)
    if tier:
        with pytest.raises(ContractDefinitionError, match=rf"open_runtime\.service_tier: .*{says}"):
            async with open_runtime(provider=scripted(), journal=None, service_tier=tier):
                raise AssertionError("not reached")


@pytest.mark.parametrize(("said", "tier"), [("", "priority"), (", service_tier: flex", "flex")])
async def test_a_plans_step_is_sent_in_its_own_tier_and_shows_it(said: str, tier: str, tmp_path: Path) -> None:
    plan = read_plan(f"goal: Say\nsteps:\n- {{id: '1', fn: say_first, inputs: {{about: x}}{said}}}\n")
    provider, functions = scripted("hi"), Functions([say_first])
    shown = render_details(compile_plan(plan, functions.registry))
    assert ("service tier: flex" in shown) == bool(said)
    async with (
        open_runtime(provider=provider, journal=tmp_path / "stratum.db") as runtime,
        open_plans(
            runtime,
            functions=functions,
            workspace=tmp_path,
            approvals=Approvals(tmp_path, folder=tmp_path / "state"),
        ) as plans,
    ):
        draft = await plans.propose(plan, by="ada")
        plans.approvals.approve(draft.digest, by="ada", how="python")
        run = await plans.start(draft.run)
        assert await run.result() == "hi"
    assert json.loads(provider.requests[0].body)["service_tier"] == tier
