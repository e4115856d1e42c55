"""litellm with a pydantic model as response format, validated by hand as its documentation shows."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches prices while it is imported

import litellm
from peer import URL, measure_calls
from risk import INTENT, RiskAssessment


async def call(text: str) -> RiskAssessment:
    answer = await litellm.acompletion(
        model="openai/gpt-4o",
        api_base=URL,
        api_key="key",
        messages=[{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        response_format=RiskAssessment,
        max_completion_tokens=1024,
        num_retries=0,
    )
    return RiskAssessment.model_validate_json(answer.choices[0].message.content)


measure_calls(call)
