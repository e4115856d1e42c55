"""pydantic-ai: a usage shared by all runs, and a limit on its tokens that is ten times what one run uses."""

from peer import URL, spend
from pydantic_ai import Agent, RunUsage, UsageLimits
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from risk import INTENT, RiskAssessment

model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=URL, api_key="key"))
agent = Agent(model, output_type=RiskAssessment, instructions=INTENT, model_settings={"max_tokens": 64})
shared = RunUsage()
limits = UsageLimits()


async def first() -> None:
    global limits
    used = (await agent.run("plan 0")).usage
    used = used() if callable(used) else used
    limits = UsageLimits(total_tokens_limit=10 * used.total_tokens, request_limit=None)


async def call(text: str) -> RiskAssessment:
    return (await agent.run(text, usage=shared, usage_limits=limits)).output


spend(call, first=first)
