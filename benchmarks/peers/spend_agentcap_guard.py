"""agentcap-guard, around the openai SDK's synchronous client, the only one that it reads the usage of; in threads."""

import agentcap
from agentcap.pricing import load_pricing
from openai import OpenAI
from peer import URL, in_thread, spend
from risk import INTENT, RESPONSE_FORMAT, RiskAssessment

plain = OpenAI(api_key="key", base_url=URL, max_retries=0)
client = plain


def answered(text: str):
    return client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_format=RESPONSE_FORMAT,
        max_completion_tokens=64,
    )


async def first() -> None:
    global client
    used = answered("plan 0").usage
    each = load_pricing().price("gpt-4o").cost(used.prompt_tokens, used.completion_tokens)
    client = agentcap.guard(plain, budget=10 * each)


async def call(text: str) -> RiskAssessment:
    return RiskAssessment.model_validate_json((await in_thread(answered, text)).choices[0].message.content)


spend(call, first=first)
