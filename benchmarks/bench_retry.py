"""What does a retry cost in input, beside a new prompt with the whole context, and beside frameworks that ask again?

An answer is rejected once by a postcondition, and asked for again; the request carries some 16 KB of context. Counted
is what the second request has beyond the longest prefix that it shares with the first, in the order in which providers
cache a prompt (tools and the answer's form, then the messages): what a prompt cache cannot serve, at full price.
`infer` appends the rejected call and the violation. The baseline, `whole prompt again`, is a hand-written loop that
puts the violation into the instructions, before the context: nothing of it can be served. Frameworks that ask again by
themselves and are installed (`make bench-peers`) are used as their documentation says. `bytes sent` is the whole
request, which every stateless API has to be sent again.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import Annotated, Any

import trio
from pydantic import Field
from tests.fakes import behaviours
from tests.fakes.openai_server import open_server

from benchmarks.counting import Count, report_counts
from benchmarks.options import common_options, parser
from benchmarks.peers.environments import Peer, PeerFailed, installed_peers, run_peer, version_of
from stratum import PostconditionFailed, contract, infer, open_runtime
from stratum.engine.providers.scripted import scripted

CONTEXT = "The quick brown fox jumps over the lazy dog, and nobody minds. " * 260
BASELINE = "whole prompt again"
INTENT, TEXT = "Rate the text", "abc"
SETTINGS = ("bytes beyond the shared prefix", "bytes sent by the retry")
Sent = tuple[bytes, bytes]
"""Two requests."""


@contract
class Rating:
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]


@infer(intent=INTENT, context=CONTEXT, ensure=lambda r: r.confidence > 0.75, retries=1)
def rate(text: str) -> Rating: ...


@infer(intent=INTENT, context=CONTEXT, retries=0)
def rate_once(text: str) -> Rating: ...


@infer(
    intent="The previous answer had confidence 0.42, which must be above 0.75. Rate the text",
    context=CONTEXT,
    retries=0,
)
def rate_again(text: str) -> Rating: ...


def by_infer() -> Sent:
    provider = scripted({"confidence": 0.42}, {"confidence": 0.9})

    async def main() -> None:
        async with open_runtime(provider=provider, journal=None):
            await rate(TEXT)

    trio.run(main)
    first, second = (request.body for request in provider.requests)
    return first, second


def by_hand() -> Sent:
    provider = scripted({"confidence": 0.42}, {"confidence": 0.9})

    async def main() -> None:
        async with open_runtime(provider=provider, journal=None):
            try:
                await rate_once(TEXT)
            except PostconditionFailed:
                raise AssertionError("it has none") from None
            await rate_again(TEXT)

    trio.run(main)
    first, second = (request.body for request in provider.requests)
    return first, second


def by_peer(peer: Peer) -> Sent:
    asked = {"instructions": f"{INTENT}\n\n{CONTEXT}", "text": f"text: {TEXT}"}
    answers = [behaviours.answers(json.dumps({"confidence": confidence}).encode()) for confidence in (0.42, 0.9)]

    async def main() -> list[bytes]:
        async with open_server(behaviours.in_order(*answers)) as server:
            await trio.to_thread.run_sync(partial(run_peer, peer, "retries", {**asked, "url": server.url}))
            return server.requests

    requests = trio.run(main)
    if len(requests) != 2:
        raise PeerFailed(name=peer.name, why=f"made {len(requests)} requests, and not two")
    return requests[0], requests[1]


def as_cached(request: bytes) -> str:
    """A request's prompt, in the order in which providers cache it."""
    asked: dict[str, Any] = json.loads(request)
    form = {key: asked[key] for key in ("tools", "tool_choice", "response_format", "text") if key in asked}
    messages: list[Any] = asked["messages"] if "messages" in asked else asked["input"]
    return "".join(json.dumps(part, ensure_ascii=False) for part in (form, *messages))


def unshared_bytes(sent: Sent) -> int:
    """What the second has that is no part of a prefix of both."""
    first, second = (as_cached(request) for request in sent)
    return len(second[len(os.path.commonprefix([first, second])) :].encode())


def main() -> None:
    asked = parser(__doc__ or "", rounds=None)
    asked.add_argument("--alone", action="store_true", help="without the frameworks")
    arguments = asked.parse_args()
    options = common_options(arguments)
    pairs = {BASELINE: by_hand(), "infer": by_infer()}
    for peer in [] if arguments.alone else installed_peers("retries"):
        try:
            pairs[f"{peer.name} {version_of(peer)}"] = by_peer(peer)
        except PeerFailed as failure:
            print(f"left out: {failure}", file=sys.stderr)
    counts = [
        Count(setting=setting, contender=name, values=(count(sent),))
        for setting, count in zip(SETTINGS, (unshared_bytes, lambda sent: len(sent[1])), strict=True)
        for name, sent in pairs.items()
    ]
    report_counts(__doc__ or "", counts, options, packages=(), unit="bytes", baseline=BASELINE)


if __name__ == "__main__":
    main()
