"""floe-guard, around the openai SDK: it reserves what the call before cost, so that one call is made through it first."""

from floe_guard import BudgetGuard
from floe_guard.integrations.openai import guarded_acompletion
from openai import AsyncOpenAI
from peer import URL, spend
from risk import INTENT, RESPONSE_FORMAT, RiskAssessment

client = AsyncOpenAI(api_key="key", base_url=URL, max_retries=0)
guard = BudgetGuard(limit_usd=1)


async def call(text: str) -> RiskAssessment:
    answer = await guarded_acompletion(
        guard,
        client,
        model="gpt-4o",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_format=RESPONSE_FORMAT,
        max_completion_tokens=64,
    )
    return RiskAssessment.model_validate_json(answer.choices[0].message.content)


async def first() -> None:
    await call("plan 0")
    guard.limit_usd = 11 * guard.spent_usd  # ten more


spend(call, first=first)
