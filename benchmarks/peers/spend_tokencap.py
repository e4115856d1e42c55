"""tokencap, around the openai SDK: a limit of tokens, estimated before each call and corrected after it."""

import tokencap
from openai import AsyncOpenAI
from peer import URL, spend
from risk import INTENT, RESPONSE_FORMAT, RiskAssessment

client = AsyncOpenAI(api_key="key", base_url=URL, max_retries=0)


async def answered(text: str):
    return await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_format=RESPONSE_FORMAT,
        max_completion_tokens=64,
    )


async def first() -> None:
    global client
    used = (await answered("plan 0")).usage
    client = tokencap.wrap(client, limit=10 * used.total_tokens, quiet=True)


async def call(text: str) -> RiskAssessment:
    return RiskAssessment.model_validate_json((await answered(text)).choices[0].message.content)


spend(call, first=first)
