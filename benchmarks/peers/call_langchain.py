"""langchain-openai's structured output."""

from langchain_openai import ChatOpenAI
from peer import URL, measure_calls
from risk import INTENT, RiskAssessment

model = ChatOpenAI(model="gpt-4o", base_url=URL, api_key="key", max_retries=0, max_tokens=1024)
structured = model.with_structured_output(RiskAssessment)


async def call(text: str) -> RiskAssessment:
    return await structured.ainvoke([("system", INTENT), ("user", text)])


measure_calls(call)
