"""pydantic-ai, with the output tool it uses by default."""

from peer import URL, measure_calls
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from risk import INTENT, RiskAssessment

model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=URL, api_key="key"))
agent = Agent(model, output_type=RiskAssessment, instructions=INTENT, model_settings={"max_tokens": 1024})


async def call(text: str) -> RiskAssessment:
    return (await agent.run(text)).output


measure_calls(call)
