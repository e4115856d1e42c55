"""budgetgate: `guard_bounded` reserves the most that a call can cost and books what it did cost; it is synchronous, so in threads."""

from decimal import Decimal

from budgetgate import Budget, Engine, Ledger
from openai import OpenAI
from peer import URL, in_thread, spend
from risk import INTENT, RESPONSE_FORMAT, RiskAssessment

INPUT_USD, OUTPUT_USD, CAP = Decimal("2.5e-6"), Decimal("10e-6"), 64  # gpt-4o's; it has no prices of its own
client = OpenAI(api_key="key", base_url=URL, max_retries=0)


def answered(text: str):
    return client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_format=RESPONSE_FORMAT,
        max_completion_tokens=CAP,
    )


guarded = answered


def cost(answer) -> Decimal:
    return answer.usage.prompt_tokens * INPUT_USD + answer.usage.completion_tokens * OUTPUT_USD


async def first() -> None:
    global guarded
    answer = answered("plan 00")
    most = answer.usage.prompt_tokens * INPUT_USD + CAP * OUTPUT_USD
    budget = Budget(max_spend=10 * cost(answer), window=3600)
    guarded = Engine().guard_bounded(Ledger("openai", "gpt-4o"), budget, estimate=most, actual=cost)(answered)


async def call(text: str) -> RiskAssessment:
    return RiskAssessment.model_validate_json((await in_thread(guarded, text)).choices[0].message.content)


spend(call, first=first)
