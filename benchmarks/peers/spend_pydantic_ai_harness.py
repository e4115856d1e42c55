"""pydantic-ai's harness: its `SpendLimits`, one budget of tokens for all runs, ten times what one run uses."""

from peer import URL, spend
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai_harness import SpendLimits
from pydantic_ai_harness.spend import Budget
from risk import INTENT, RiskAssessment

model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=URL, api_key="key"))
limits = SpendLimits(budgets=[])
agent = Agent(
    model, output_type=RiskAssessment, instructions=INTENT, model_settings={"max_tokens": 64}, capabilities=[limits]
)


async def first() -> None:
    used = (await agent.run("plan 0")).usage
    used = used() if callable(used) else used
    # Counted from here on, for the budget is new; replacing them is how it has them changed.
    limits.budgets = [Budget(tokens=10 * used.total_tokens, window="total")]


async def call(text: str) -> RiskAssessment:
    return (await agent.run(text)).output


spend(call, first=first)
