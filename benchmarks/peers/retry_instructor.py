"""instructor, in its strict tool mode: a validator of the model's rejects the answer."""

import instructor
import rating
from openai import AsyncOpenAI
from peer import URL, retried
from pydantic import field_validator

client = instructor.from_openai(
    AsyncOpenAI(api_key="key", base_url=URL, max_retries=0), mode=instructor.Mode.TOOLS_STRICT
)


class Rating(rating.Rating):
    @field_validator("confidence")
    @classmethod
    def high(cls, confidence: float) -> float:
        if wrong := rating.too_low(confidence):
            raise ValueError(wrong)
        return confidence


async def call() -> Rating:
    return await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "system", "content": rating.INSTRUCTIONS}, {"role": "user", "content": rating.TEXT}],
        response_model=Rating,
        max_completion_tokens=1024,
        max_retries=1,
    )


retried(call)
