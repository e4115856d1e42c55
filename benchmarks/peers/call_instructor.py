"""instructor, in its strict tool mode."""

import instructor
from openai import AsyncOpenAI
from peer import URL, measure_calls
from risk import INTENT, RiskAssessment

client = instructor.from_openai(
    AsyncOpenAI(api_key="key", base_url=URL, max_retries=0), mode=instructor.Mode.TOOLS_STRICT
)


async def call(text: str) -> RiskAssessment:
    return await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_model=RiskAssessment,
        max_completion_tokens=1024,
    )


measure_calls(call)
