"""openai-agents with an output type; its tracing, which would be sent away, is off."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI
from peer import URL, measure_calls
from risk import INTENT, RiskAssessment

set_tracing_disabled(True)
client = AsyncOpenAI(api_key="key", base_url=URL, max_retries=0)
agent = Agent(
    name="assess",
    instructions=INTENT,
    model=OpenAIChatCompletionsModel(model="gpt-4o", openai_client=client),
    model_settings=ModelSettings(max_tokens=1024),
    output_type=RiskAssessment,
)


async def call(text: str) -> RiskAssessment:
    return (await Runner.run(agent, text)).final_output


measure_calls(call)
