"""`model=["a", "b"]`: b is asked where a cannot be reached, at its own price, with the same conversation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from stratum import (
    Budget,
    BudgetExceeded,
    ContractDefinitionError,
    PostconditionFailed,
    Price,
    ProviderError,
    UnknownPrice,
    Usage,
    contract,
    infer,
    open_runtime,
)
from stratum.contracts.records import CallFinished, Reserved
from stratum.contracts.trace import TraceRecord
from stratum.engine.dialects.protocol import Received
from stratum.engine.dialects.responses import ResponsesDialect
from stratum.engine.outages import REST_S
from stratum.engine.providers.protocol import Answer, TransportFailure
from stratum.engine.providers.scripted import Reply, Script, Scripted, scripted
from stratum.plans import Approvals, Functions, open_plans, read_plan

CHEAP, DEAR = Price.per_million(input=1, output=1), Price.per_million(input=10, output=10)
USED = Usage(input_tokens=100, output_tokens=100)
OVERLOADED = Reply(value=Answer(status=503, headers={}, body=b'{"error": {"message": "overloaded"}}'))
ANSWER = Reply(value={"text": "hi"}, usage=USED)
NOT_YET = Reply(value={"text": ""}, usage=USED)


@contract
class Word:
    text: str


@infer(intent="Say a word", ensure=lambda r: r.text != "", model=["first", "second"], max_output_tokens=100, retries=1)
def say(about: str) -> Word: ...


def by_model(**replies: Script) -> Scripted:
    def reply(received: Received) -> Script:
        script = replies[received.model]
        return script(received) if callable(script) else script

    return scripted(otherwise=reply, price=None)


async def traced(provider: Scripted, *, budget: Budget | None = None) -> tuple[TraceRecord, list[Reserved]]:
    async with open_runtime(
        provider=provider, journal=None, prices={"first": CHEAP, "second": DEAR}, transport_retries=1, budget=budget
    ) as runtime:
        with trio.CancelScope():
            await say("x")
        records = await runtime.journal.read(runtime.session)
    (finished,) = (record for record in records if isinstance(record, CallFinished))
    return finished.trace, [record for record in records if isinstance(record, Reserved)]


async def test_a_model_that_answers_is_the_only_one_asked() -> None:
    trace, _ = await traced(by_model(first=ANSWER))
    assert (trace.model, trace.fallbacks) == ("first", [])


@pytest.mark.parametrize(
    ("failing", "why"),
    [(OVERLOADED, "overloaded"), (Reply(value=TransportFailure(reason="reset", sent=True)), "reset")],
)
async def test_the_next_is_asked_where_one_cannot_be_reached(
    autojump_clock: MockClock, failing: Reply, why: str
) -> None:
    """After its transport retries; each is reserved and booked at its own price."""
    provider = by_model(first=failing, second=ANSWER)
    trace, reserved = await traced(provider, budget=Budget(usd=1))
    assert [received.model for received in provider.received] == ["first", "first", "second"]
    assert (trace.model, trace.fallbacks) == ("second", [f"first: {why}"])
    assert trace.cost_usd == pytest.approx(0.002)
    assert [record.model for record in reserved] == ["first", "first", "second"]
    assert reserved[2].picousd == pytest.approx(10 * reserved[0].picousd, rel=0.01)


async def test_a_rejected_answer_is_no_reason_to_ask_another() -> None:
    provider = by_model(first=NOT_YET)
    with pytest.raises(PostconditionFailed):
        await traced(provider)
    assert [received.model for received in provider.received] == ["first", "first"]


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_nor_is_a_request_that_is_refused(status: int) -> None:
    provider = by_model(first=Reply(value=Answer(status=status, headers={}, body=b"{}")))
    with pytest.raises(ProviderError):
        await traced(provider)
    assert len(provider.received) == 1


async def test_the_next_goes_on_with_the_conversation(autojump_clock: MockClock) -> None:
    """But without what the first one thought, which is encrypted for itself."""
    thought: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    dialect = ResponsesDialect()
    first = json.loads(dialect.write(tool="say", arguments=b'{"text":""}', usage=USED, model="first"))
    first["output"].insert(0, thought)

    def then_lost(received: Received) -> Script:
        if received.attempt == 1:
            return Reply(value=Answer(status=200, headers={}, body=json.dumps(first).encode()))
        return OVERLOADED

    provider = by_model(first=then_lost, second=ANSWER)
    trace, _ = await traced(provider)
    assert (trace.model, trace.attempts) == ("second", 2)
    to_first, to_second = (sent(provider, number) for number in (1, -1))
    assert thought in to_first
    assert to_second == [item for item in to_first if item != thought]


def sent(provider: Scripted, number: int) -> list[dict[str, Any]]:
    return msgspec.json.decode(provider.requests[number].body)["input"]


async def test_the_last_ones_failure_is_the_calls(autojump_clock: MockClock) -> None:
    with pytest.raises(ProviderError, match="overloaded"):
        await traced(by_model(first=OVERLOADED, second=OVERLOADED))


async def test_a_budget_stops_it_between_models_too(autojump_clock: MockClock) -> None:
    """The second costs ten times as much, and does not fit."""
    provider = by_model(first=OVERLOADED, second=ANSWER)
    with pytest.raises(BudgetExceeded):
        await traced(provider, budget=Budget(usd=0.002))
    assert {received.model for received in provider.received} == {"first"}


async def test_a_fallback_without_a_price_is_found_out_before_it_is_needed() -> None:
    provider = by_model(first=ANSWER)
    async with open_runtime(provider=provider, journal=None, prices={"first": CHEAP}) as runtime:
        assert (await say("x")).text == "hi"
        with pytest.raises(UnknownPrice, match="second"):
            await runtime.tenant("acme", budget=Budget(usd=1)).run(say, "x")
    assert len(provider.received) == 1


@pytest.mark.parametrize("models", [[], [""], ["a", "a"], [1]])
def test_models_are_different_names(models: list[str]) -> None:
    with pytest.raises(ContractDefinitionError, match="name a model, or several"):
        infer(intent="Say a word", model=models)(say.function)


async def test_a_kept_answer_is_the_models_that_gave_it(autojump_clock: MockClock) -> None:
    cached = infer(intent="Say a word", model=["first", "second"], max_output_tokens=100, cache="global")(say.function)
    asked: list[str] = []

    def once_lost(received: Received) -> Script:
        asked.append(received.model)
        return OVERLOADED if len(asked) <= 2 else ANSWER

    async with open_runtime(
        provider=by_model(first=once_lost, second=ANSWER),
        journal=None,
        prices={"first": CHEAP, "second": DEAR},
        transport_retries=1,
    ):
        for _ in range(2):
            await cached("x")
        assert asked == ["first", "first"]
        await trio.sleep(REST_S)
        for _ in range(2):
            await cached("x")
    assert asked == ["first", "first", "first"]


async def test_a_plans_step_falls_back_too(tmp_path: Path) -> None:
    plan = """
    goal: Say a word
    steps:
    - {id: "1", fn: say, inputs: {about: x}, model: [third, second]}
    """
    provider = by_model(third=OVERLOADED, second=ANSWER)
    async with (
        open_runtime(
            provider=provider, journal=None, prices={"third": CHEAP, "second": DEAR}, transport_retries=0
        ) as runtime,
        open_plans(
            runtime,
            functions=Functions([say]),
            workspace=tmp_path,
            approvals=Approvals(tmp_path, folder=tmp_path / "state"),
        ) as plans,
    ):
        draft = await plans.propose(read_plan(plan), by="ada")
        plans.approvals.approve(draft.digest, by="ada", how="python")
        run = await plans.start(draft.run)
        await run.result()
    assert [received.model for received in provider.received] == ["third", "second"]
