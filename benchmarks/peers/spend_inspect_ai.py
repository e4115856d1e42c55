"""inspect-ai: a limit on the tokens of all that is done within its block, ten times what one call uses."""

from collections.abc import Awaitable, Callable

from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, ModelOutput, ResponseSchema, get_model
from inspect_ai.util import json_schema, token_limit
from peer import URL, spend
from risk import INTENT, RiskAssessment

schema = ResponseSchema(name="risk", json_schema=json_schema(RiskAssessment), strict=True)
# All at once: otherwise it has ten calls under way at a time.
config = GenerateConfig(max_tokens=64, max_retries=0, max_connections=100, response_schema=schema)
model = get_model("openai/gpt-4o", config=config, base_url=URL, api_key="key", responses_api=False)
limit = 0


async def answered(text: str) -> ModelOutput:
    return await model.generate([ChatMessageSystem(content=INTENT), ChatMessageUser(content=text)])


async def first() -> None:
    global limit
    limit = 10 * (await answered("plan 0")).usage.total_tokens


async def call(text: str) -> RiskAssessment:
    return RiskAssessment.model_validate_json((await answered(text)).completion)


async def limited(run: Callable[[], Awaitable[list[object]]]) -> list[object]:
    with token_limit(limit):
        return await run()


spend(call, first=first, within=limited)
