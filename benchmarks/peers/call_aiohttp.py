"""aiohttp by hand, no SDK: the least that one writes who minds the cost, its answer validated by pydantic."""

import aiohttp
from peer import URL, measure_calls
from risk import INTENT, RESPONSE_FORMAT, RiskAssessment

client = None


async def call(text: str) -> RiskAssessment:
    global client
    if client is None:  # it wants a running loop
        client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers={"authorization": "Bearer key"})
    asked = {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": INTENT}, {"role": "user", "content": text}],
        "response_format": RESPONSE_FORMAT,
        "max_completion_tokens": 1024,
    }
    async with client.post(f"{URL}/chat/completions", json=asked) as answer:
        told = await answer.json()
    return RiskAssessment.model_validate_json(told["choices"][0]["message"]["content"])


measure_calls(call)
