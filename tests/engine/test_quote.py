"""What a call would reserve is what it reserves, and the least it can do with is the least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stratum import Budget, BudgetExceeded, Runtime, compute, contract, flow, infer, open_runtime, parallel, refine
from stratum.contracts.money import usd
from stratum.contracts.records import Reserved
from stratum.engine.providers.scripted import Scripted, scripted


@contract
class Word:
    text: str


@infer(intent="Say a word", retries=2)
def say(about: str) -> Word: ...


@infer(intent="Say a word", quorum=3, agree_on="text", threshold=2)
def agreed(about: str) -> Word: ...


@refine(until=lambda word: word.text == "hi", feedback=lambda word: "no", max_iterations=2)
@infer(intent="Say a word", model="gpt-4o-mini")
def refined(about: str) -> Word: ...


@compute
def upper(word: Word) -> str:
    return word.text.upper()


@flow
async def once(about: str) -> Word:
    return await say(about)


def greeting() -> Scripted:
    return scripted(otherwise={"text": "hi"})


async def reserved(runtime: Runtime) -> list[Reserved]:
    return [record for record in await runtime.journal.read(runtime.session) if isinstance(record, Reserved)]


@pytest.mark.parametrize(("step", "at_once"), [(say, 1), (agreed, 3), (refined, 1)])
async def test_it_is_what_the_call_then_reserves(step: Callable[..., object], at_once: int) -> None:
    async with open_runtime(provider=greeting(), journal=None) as runtime:
        quote = runtime.quote(step, "x" * 100)  # type: ignore[arg-type]
        assert quote is not None
        assert not await reserved(runtime)
        await step("x" * 100)  # type: ignore[misc]
        held = await reserved(runtime)
    assert quote.at_once == len(held) == at_once
    assert quote.picousd == sum(record.picousd for record in held)
    assert {(record.model, record.tokens) for record in held} == {
        (quote.model, quote.input_tokens + quote.output_tokens)
    }


async def test_the_least_is_enough_and_a_picodollar_less_is_not() -> None:
    async with open_runtime(provider=greeting(), journal=None) as runtime:
        quote = runtime.quote(say, "x" * 100)
    assert quote is not None
    assert quote.least_picousd is not None
    assert quote.picousd is not None
    assert quote.least_picousd < quote.picousd
    for short, sent in ((0, 1), (1, 0)):
        budget = Budget(usd=usd(quote.least_picousd - short))
        provider = scripted(otherwise={"text": ""})
        bounded = infer(intent="Say a word", budget=budget, retries=0)(say.function)
        async with open_runtime(provider=provider, journal=None) as runtime:
            asked = runtime.quote(bounded, "x" * 100)
            assert asked is not None
            assert asked.fits is (sent == 1)
            try:
                await bounded("x" * 100)
            except BudgetExceeded:
                pass
        assert len(provider.requests) == sent


async def test_what_asks_no_model_reserves_nothing() -> None:
    async with open_runtime(provider=greeting(), journal=None) as runtime:
        assert runtime.quote(upper, Word(text="hi")) is None
        assert runtime.quote(once, "x") is None
        with pytest.raises(TypeError):
            runtime.quote(say)  # type: ignore[call-arg]


async def test_a_model_without_a_price_has_a_quote_without_one() -> None:
    async with open_runtime(provider=scripted(price=None), journal=None, model="house-7b") as runtime:
        quote = runtime.quote(say, "x")
    assert quote is not None
    assert (quote.usd, quote.least_usd, quote.fits) == (None, None, None)
    assert "a budget in USD is refused" in str(quote)
    assert replace(quote, budget=Budget(usd=1)).fits is False


@flow
async def both(about: str) -> str:
    first, _ = await parallel(say(about), say(f"{about}2"))
    return await upper(first)


def test_a_flow_is_shown_as_a_plan_without_a_trace_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [step.id for step in both.plan("x").steps] == ["say", "say-2", "upper"]
    assert not list(tmp_path.iterdir())
