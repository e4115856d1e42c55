"""What does one `@infer` call cost the process that makes it, beside the bare openai SDK and bare httpx2?

The baseline, `openai SDK`, is `client.responses.create` with the same tool, forced and strict, under trio, and no
validation of the answer; in one setting all of them but the frameworks speak chat completions instead. `httpx2` posts
the same bytes and parses nothing, and so does `lean transport`. `infer` is everything on: contract, ensure, budget,
journal on disk, trace; through the SDK's client, or over the lean transport. `engine alone` has a provider that answers
in the process and its journal in memory: what is ours of it. Frameworks that are installed (`make bench-peers`), and
aiohttp by hand, make the same call on asyncio, by chat completions, in processes and environments of their own; so does
`infer, lean, own process` as it is, that one may compare what they hold of memory. All open their clients, and make
some calls to connect, before they are measured. The server is on the loopback interface, in a process of its own, so
that its time is not counted. In one setting it speaks TLS, to all but the frameworks: there every round connects anew,
measured, and keeps its connections. CPU is user and system time of this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import httpx2
import msgspec
import openai
import trio
from tests.fakes.openai_server import serve_process

from benchmarks.assessing import ANSWER, PRICE, Call, assess, assessed, in_flight, warming
from benchmarks.open_files import allow_open_files
from benchmarks.options import common_options, each_at_least, parser
from benchmarks.peers.contenders import peers_calling
from benchmarks.timing import Elsewhere, Measured, Row, compare, measured, report
from stratum import Usage, open_runtime
from stratum.engine.providers.openai import OpenAI, Transport
from stratum.engine.providers.protocol import Provider, Request
from stratum.engine.providers.scripted import Reply, scripted

ROOT = Path(__file__).resolve().parents[1]
BASELINE = "openai SDK"
SPARE_FILES = 500
"""Beside a socket a call."""
OTHERWISE_IN_FLIGHT = 100
"""Over TLS, and by chat completions."""

TLS = ", TLS"

Api = Literal["responses", "chat"]
PATHS: dict[Api, str] = {"responses": "/responses", "chat": "/chat/completions"}


def body(api: Api = "responses") -> dict[str, Any]:
    """The request that `assess` sends."""
    if api == "chat":
        return _chat_body()
    return {
        "model": "gpt-4o",
        "input": [
            {"role": "developer", "content": "Assess the risk of this plan"},
            {"role": "user", "content": "text: plan 1"},
        ],
        "tools": [
            {
                "type": "function",
                "name": "assess",
                "parameters": msgspec.json.decode(assess.signature.returns.wire_schema),
                "strict": True,
            }
        ],
        "tool_choice": {"type": "function", "name": "assess"},
        "max_output_tokens": 1024,
        "store": False,
    }


def _chat_body() -> dict[str, Any]:
    told = body()
    (tool,) = told["tools"]
    function = {key: value for key, value in tool.items() if key != "type"}
    return {
        "model": told["model"],
        "messages": told["input"],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": tool["name"]}},
        "max_completion_tokens": told["max_output_tokens"],
        "store": False,
    }


@dataclass(frozen=True, kw_only=True)
class Load:
    """How the calls are made."""

    calls: int
    at_once: int
    connected: bool
    """Before they are measured."""

    async def of(self, call: Call) -> Measured:
        """What `call` takes."""
        if self.connected:
            await in_flight(call, calls=warming(self.calls, self.at_once), at_once=self.at_once)
        return await measured(lambda: in_flight(call, calls=self.calls, at_once=self.at_once), units=self.calls)


def through_infer(provider: Callable[[], Provider], journal: Path | None, load: Load) -> Measured:
    async def main() -> Measured:
        async with open_runtime(provider=provider(), journal=journal):
            return await assessed(load.calls, load.at_once, connected=load.connected)

    return trio.run(main)


def in_a_process(url: str, load: Load) -> Measured:
    """As a peer is measured."""
    task = json.dumps({"url": url, "calls": load.calls, "at_once": load.at_once})
    command = [sys.executable, "-m", "benchmarks.assessing", task]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(ended.stdout))


def through_sdk(url: str, api: Api, load: Load) -> Measured:
    asked = body(api)

    async def main() -> Measured:
        async with openai.AsyncOpenAI(api_key="key", base_url=url, max_retries=0) as client:
            create: Any = client.responses.create if api == "responses" else client.chat.completions.create

            async def call(number: int) -> object:
                return await create(**asked)  # stratum: allow[unbudgeted-call] measures the SDK itself

            return await load.of(call)

    return trio.run(main)


def through_httpx2(url: str, api: Api, load: Load) -> Measured:
    content = msgspec.json.encode(body(api))
    headers = {"authorization": "Bearer key", "content-type": "application/json"}
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)

    async def main() -> Measured:
        async with httpx2.AsyncClient(timeout=600, limits=limits) as client:

            async def call(number: int) -> object:
                return (await client.post(f"{url}{PATHS[api]}", content=content, headers=headers)).read()

            return await load.of(call)

    return trio.run(main)


def through_lean(url: str, api: Api, load: Load) -> Measured:
    content = msgspec.json.encode(body(api))

    async def main() -> Measured:
        provider = OpenAI("key", url, api=api, transport="lean")

        async def call(number: int) -> object:
            return await provider.send(Request(path=PATHS[api], body=content))

        async with provider.open():
            return await load.of(call)

    return trio.run(main)


@contextmanager
def tls_server(folder: Path) -> Generator[str]:
    """Its URL; its authority is what this process trusts until the block is left."""
    trusted = folder / "authority.pem"
    before = os.environ.get("SSL_CERT_FILE")
    with serve_process(folder / "tls bill", "--arguments", ANSWER, "--tls", str(trusted)) as server:
        os.environ["SSL_CERT_FILE"] = str(trusted)
        try:
            yield server.url
        finally:
            os.environ.pop("SSL_CERT_FILE")
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before


def contenders(url: str, folder: Path, api: Api, load: Load, *, alone: bool) -> dict[str, Callable[[], object]]:
    def networked(transport: Transport) -> Provider:
        return OpenAI("key", url, api=api, price=PRICE, transport=transport)

    def answering() -> Provider:
        usage = Usage(input_tokens=200, output_tokens=40)
        return scripted(otherwise=Reply(value=ANSWER.encode(), usage=usage), price=PRICE)

    return {
        BASELINE: partial(through_sdk, url, api, load),
        "httpx2": partial(through_httpx2, url, api, load),
        "infer": partial(through_infer, partial(networked, "sdk"), folder / "sdk.db", load),
        "infer, lean": partial(through_infer, partial(networked, "lean"), folder / "lean.db", load),
        "lean transport": partial(through_lean, url, api, load),
        "engine alone": partial(through_infer, answering, None, load),
        **({} if alone else peers_calling(url, calls=load.calls, at_once=load.at_once)),
    }


def main() -> None:
    asked = parser(__doc__ or "")
    asked.add_argument(
        "--in-flight",
        type=each_at_least(1),
        metavar="N,...",
        help="how many calls at once, comma-separated (default 1,100,1000)",
    )
    asked.add_argument("--alone", action="store_true", help="without the frameworks")
    arguments = asked.parse_args()
    options = common_options(arguments)
    at_once_each = arguments.in_flight or ([1, 20] if options.quick else [1, 100, 1000])
    allow_open_files(max(at_once_each) + SPARE_FILES)
    otherwise = 20 if options.quick else OTHERWISE_IN_FLIGHT
    rows: list[Row] = []

    def measure(
        url: str, at_once: int, *, api: Api = "responses", over: str = "", alone: bool = arguments.alone
    ) -> None:
        calls = max(50, 2 * at_once) if options.quick else max(300, 2 * at_once)
        load = Load(calls=calls, at_once=at_once, connected=over != TLS)
        own = contenders(url, folder, api, load, alone=alone)
        if not over:
            own["infer, lean, own process"] = Elsewhere(partial(in_a_process, url, load))
        setting = f"{at_once} in flight{over}"
        rows.extend(compare(setting, own, baseline=BASELINE, units=calls, rounds=options.rounds))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serve_process(folder / "bill", "--arguments", ANSWER) as server:
            for at_once in at_once_each:
                measure(server.url, at_once)
            measure(server.url, otherwise, api="chat", over=", chat completions", alone=True)
        with tls_server(folder) as url:
            measure(url, otherwise, over=TLS, alone=True)
    report(__doc__ or "", rows, options, packages=("openai", "httpx2", "trio", "msgspec"), unit="call")


if __name__ == "__main__":
    main()
