"""The SDK's own structured output: `chat.completions.parse`, on asyncio."""

from openai import AsyncOpenAI
from peer import URL, measure_calls
from risk import INTENT, RiskAssessment

client = AsyncOpenAI(api_key="key", base_url=URL, max_retries=0)


async def call(text: str) -> RiskAssessment | None:
    answer = await client.chat.completions.parse(
        model="gpt-4o",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_format=RiskAssessment,
        max_completion_tokens=1024,
    )
    return answer.choices[0].message.parsed


measure_calls(call)
