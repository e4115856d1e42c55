"""spendcap, around the openai SDK: a hard cap in USD, asked before each call and told after it."""

import spendcap
from openai import AsyncOpenAI
from peer import URL, spend
from risk import INTENT, RESPONSE_FORMAT, RiskAssessment

plain = AsyncOpenAI(api_key="key", base_url=URL, max_retries=0)
client = plain


async def call(text: str) -> RiskAssessment:
    answer = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_format=RESPONSE_FORMAT,
        max_completion_tokens=64,
    )
    return RiskAssessment.model_validate_json(answer.choices[0].message.content)


async def first() -> None:
    global client
    meter = spendcap.Meter()
    client = meter.wrap(plain)
    await call("plan 0")
    client = spendcap.Meter(budget=spendcap.Budget(usd=10 * meter.spent)).wrap(plain)


spend(call, first=first)
