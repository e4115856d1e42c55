"""What does a retry cost in input, beside replaying the whole prompt?

An answer is rejected once by a postcondition, and asked for again; the request carries some 16 KB of context. Counted is what the second
request has beyond the longest prefix that it shares with the first: what a provider's prompt cache cannot serve, at full
price. `infer` appends the rejected call and the violation. The baseline, `whole prompt again`, is the usual hand-written loop: the
violation in front of the question, as a new prompt. `bytes sent` is the whole request, which every stateless API has to be sent again.
"""

from __future__ import annotations

import os
from typing import Annotated

import trio
from pydantic import Field

from benchmarks.counting import Count, report_counts
from benchmarks.options import common_options, parser
from stratum import PostconditionFailed, contract, infer, open_runtime
from stratum.engine.providers.scripted import scripted

CONTEXT = "The quick brown fox jumps over the lazy dog, and nobody minds. " * 260
BASELINE = "whole prompt again"
SETTINGS = ("bytes beyond the shared prefix", "bytes sent by the retry")


@contract
class Rating:
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]


@infer(intent="Rate the text", context=CONTEXT, ensure=lambda r: r.confidence > 0.75, retries=1)
def rate(text: str) -> Rating: ...


@infer(intent="Rate the text", context=CONTEXT, retries=0)
def rate_once(text: str) -> Rating: ...


@infer(
    intent="The previous answer had confidence 0.42, which must be above 0.75. Rate the text",
    context=CONTEXT,
    retries=0,
)
def rate_again(text: str) -> Rating: ...


def by_infer() -> tuple[bytes, bytes]:
    provider = scripted({"confidence": 0.42}, {"confidence": 0.9})

    async def main() -> None:
        async with open_runtime(provider=provider, journal=None):
            await rate("abc")

    trio.run(main)
    first, second = (request.body for request in provider.requests)
    return first, second


def by_hand() -> tuple[bytes, bytes]:
    provider = scripted({"confidence": 0.42}, {"confidence": 0.9})

    async def main() -> None:
        async with open_runtime(provider=provider, journal=None):
            try:
                await rate_once("abc")
            except PostconditionFailed:
                raise AssertionError("it has none") from None
            await rate_again("abc")

    trio.run(main)
    first, second = (request.body for request in provider.requests)
    return first, second


def main() -> None:
    options = common_options(parser(__doc__ or "", rounds=None).parse_args())
    counts: list[Count] = []
    pairs = {BASELINE: by_hand(), "infer": by_infer()}
    for setting in SETTINGS:
        for name, (first, second) in pairs.items():
            shared = len(os.path.commonprefix([first, second]))
            value = len(second) - shared if setting is SETTINGS[0] else len(second)
            counts.append(Count(setting=setting, contender=name, values=(value,)))
    report_counts(__doc__ or "", counts, options, packages=(), unit="bytes", baseline=BASELINE)


if __name__ == "__main__":
    main()
