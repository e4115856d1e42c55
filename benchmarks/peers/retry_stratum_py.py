"""stratum-py, which had this name before: a condition rejects the answer."""

import os
from functools import partial

from peer import URL, retried

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "key", "OPENAI_API_BASE": URL}

import litellm
from rating import INSTRUCTIONS, TEXT, Rating, too_low

from stratum import contract, infer

# It sends no output cap, and the benchmark's server answers no request without one.
litellm.acompletion = partial(litellm.acompletion, max_completion_tokens=1024)
contract(Rating)


@infer(intent=INSTRUCTIONS, model="openai/gpt-4o", ensure=lambda rating: not too_low(rating.confidence), retries=1)
def rate(text: str) -> Rating: ...


async def call() -> Rating:
    return await rate(text=TEXT)


retried(call)
