"""What a plan will probably take."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.plans.plan_fixtures import open_project, reported, started

from stratum import Price, contract, infer
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.plan import Estimate
from stratum.contracts.plans.render import budget_line
from stratum.contracts.plans.text import read_plan
from stratum.contracts.price import Usage
from stratum.engine.plans.estimate import Estimator
from stratum.engine.plans.functions import Functions
from stratum.engine.providers.scripted import scripted


@contract
class Word:
    text: str


@infer(intent="Say a word about {about}", max_output_tokens=100, model="dear")
def say(about: str) -> Word: ...


PRICES = {"dear": Price.per_million(input=1000, output=4000), "cheap": Price.per_million(input=1, output=4)}
FUNCTIONS = Functions([say])


def guess(text: str, *, model: str | None = None) -> Estimate:
    compiled = compile_plan(read_plan(text), FUNCTIONS.registry)
    return Estimator(
        FUNCTIONS,
        past={},
        price_of=lambda model, tier: PRICES.get(model if tier is None else f"{model} in {tier}"),
        model=model,
    ).estimate(compiled)


def test_a_call_costs_what_its_prompt_its_schema_and_a_middling_answer_cost() -> None:
    one = guess("steps: [{id: a, fn: say, inputs: {about: rain}}]")
    assert one.calls == 1
    assert one.picousd is not None
    # Some 60 tokens in and 256 out.
    assert 0.9e12 < one.picousd < 1.3e12
    longer = guess(f"steps: [{{id: a, fn: say, inputs: {{about: {'rain ' * 4000}}}}}]")
    assert longer.picousd is not None and longer.picousd > one.picousd + 4e12
    assert guess("steps: [{id: a, fn: say, inputs: {about: x}, model: cheap}]").picousd == pytest.approx(
        one.picousd / 1000, rel=0.1
    )
    assert guess("steps: [{id: a, fn: say, inputs: {about: x}, model: unheard-of}]").picousd is None


def test_what_calls_nobody_is_not_counted_and_stand_ins_are_not_expected() -> None:
    text = """
    plans:
      inner: {steps: [{id: x, fn: say, inputs: {about: rain}}, {id: y, kind: infer, intent: Sum up, output: str}]}
    steps:
    - {id: a, command: [ls]}
    - {id: g, gate: {question: Go on?}}
    - {id: sub, fn: inner}
    - {id: b, command: [pytest], on_fail: c}
    - {id: c, command: [pytest, -x]}
    """
    counted = guess(text, model="cheap")
    assert counted.calls == 4
    assert counted.picousd is not None
    assert guess(text).picousd is None, "no model is named"
    assert budget_line(guess(text), None) == "~4 tool calls"


def test_what_an_agent_will_take_nobody_knows_beforehand() -> None:
    assert guess("steps: [{id: a, intent: Look}]") == Estimate(calls=1, picousd=None)


SEED = """
steps:
- {id: "1", fn: read_routing_config}
- {id: "2", fn: design_middleware, depends_on: ["1"]}
- {id: "3", fn: implement_middleware, depends_on: ["2"]}
- {id: "4", fn: write_tests, depends_on: ["3"], ensure: result == "covered", repair: "3"}
"""


async def test_the_second_time_it_is_what_the_first_time_took(tmp_path: Path) -> None:
    """SEED.md: "~6 tool calls, estimated $0.04"."""
    model = scripted(price=Price.per_million(input=0, output=1000))
    async with open_project(tmp_path, provider=model) as plans:
        draft = await plans.propose(read_plan(SEED), by="agent")
        first = (await plans.plan(draft.run)).estimate
        assert first == Estimate(calls=4, picousd=None)

        run = await started(plans, SEED)
        for step, result, usd in (
            ("1", 0, 0.002),
            ("2", 0, 0.006),
            ("3", 0, 0.005),
            ("4", "missing", 0.010),
            ("3", 1, 0.006),
            ("4", "covered", 0.008),
        ):
            await reported(run, step, result, usage=Usage(input_tokens=0, output_tokens=round(usd * 1000)), model="m")
        await run.result()

        again = await plans.propose(read_plan(SEED), by="agent")
        assert again.digest == draft.digest, "an estimate is no part of what is approved"
        assert budget_line((await plans.plan(again.run)).estimate, None) == "~6 tool calls, estimated $0.04"
        other = await plans.revise(again.run, read_plan("steps: [{id: a, fn: write_tests}]"), by="agent")
        assert budget_line((await plans.plan(other.run)).estimate, None) == "~2 tool calls, estimated $0.02"


@infer(intent="Say a word about {about}", max_output_tokens=100, model="dear", service_tier="priority")
def say_at_once(about: str) -> Word: ...


def test_the_tier_of_the_step_or_else_of_its_function_is_what_is_counted_with() -> None:
    functions = Functions([say, say_at_once])
    prices = {None: Price.per_million(input=2, output=8), "flex": Price.per_million(input=1, output=4)}
    prices["priority"] = Price.per_million(input=4, output=16)

    def cost(step: str) -> int:
        compiled = compile_plan(read_plan(f"steps: [{{id: a, inputs: {{about: rain}}, {step}}}]"), functions.registry)
        estimator = Estimator(functions, past={}, price_of=lambda model, tier: prices[tier], model=None)
        picousd = estimator.estimate(compiled).picousd
        assert picousd is not None
        return picousd

    usual = cost("fn: say")
    assert cost("fn: say, service_tier: flex") * 2 == usual
    assert cost("fn: say_at_once") == usual * 2
    assert cost("fn: say_at_once, service_tier: flex") * 2 == usual
