"""litellm: its BudgetManager, asked before each call and told after it, as its documentation shows.

Not `litellm.max_budget`: in 1.110 that stopped nothing here, not even one call after the other.
"""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches prices while it is imported

import litellm
from peer import URL, spend
from risk import INTENT, RiskAssessment

budgets = litellm.BudgetManager(project_name="overshoot")
USER = "one"


class NoBudget(Exception):
    """Its documentation leaves it to the caller what to do then."""


async def answered(text: str) -> litellm.ModelResponse:
    return await litellm.acompletion(
        model="openai/gpt-4o",
        api_base=URL,
        api_key="key",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_format=RiskAssessment,
        max_completion_tokens=64,
        num_retries=0,
    )


async def first() -> None:
    budgets.create_budget(total_budget=10 * litellm.completion_cost(await answered("plan 0")), user=USER)


async def call(text: str) -> RiskAssessment:
    if budgets.get_current_cost(user=USER) > budgets.get_total_budget(USER):
        raise NoBudget
    answer = await answered(text)
    budgets.update_cost(completion_obj=answer, user=USER)
    return RiskAssessment.model_validate_json(answer.choices[0].message.content)


spend(call, first=first)
