"""pydantic-ai: an output validator rejects the answer."""

from peer import URL, retried
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from rating import INSTRUCTIONS, TEXT, Rating, too_low

model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=URL, api_key="key"))
agent = Agent(model, output_type=Rating, instructions=INSTRUCTIONS, model_settings={"max_tokens": 1024}, retries=1)


@agent.output_validator
def high(rating: Rating) -> Rating:
    if wrong := too_low(rating.confidence):
        raise ModelRetry(wrong)
    return rating


async def call() -> Rating:
    return (await agent.run(TEXT)).output


retried(call)
