"""stratum-py, which had this name before: a flow's budget in USD, ten times what one of its calls costs."""

import os
from collections.abc import Awaitable, Callable
from functools import partial

from peer import URL, spend

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "key", "OPENAI_API_BASE": URL}

import litellm
from risk import INTENT, RiskAssessment

from stratum import Budget, all_records, contract, flow, infer

# It sends no output cap, and the benchmark's server answers no request without one.
litellm.acompletion = partial(litellm.acompletion, max_completion_tokens=64)
contract(RiskAssessment)


@infer(intent=INTENT, model="openai/gpt-4o", retries=0)
def assess(text: str) -> RiskAssessment: ...


async def first() -> None:
    await assess(text="plan 0")


async def call(text: str) -> RiskAssessment:
    return await assess(text=text)


async def in_a_flow(run: Callable[[], Awaitable[list[object]]]) -> list[object]:
    return await flow(budget=Budget(usd=10 * all_records()[0].cost_usd))(run)()


spend(call, first=first, within=in_a_flow)
