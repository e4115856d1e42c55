"""The OpenAI provider against a server on the loopback interface."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from tests.fakes.behaviours import answers
from tests.fakes.openai_server import FakeOpenAI, open_server

from stratum.engine.dialects.protocol import CallShape, Dialect, Prompt
from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.protocol import Request

SCHEMA = b'{"type":"object","properties":{"level":{"enum":["low","high"]}},"required":["level"],"additionalProperties":false}'


def request(dialect: Dialect, *, streamed: bool = False) -> Request:
    call = dialect.compile(
        CallShape(tool="assess", description="The risk.", instructions="Assess", schema=SCHEMA, model="gpt-4o")
    )
    body = call.body(call.conversation(Prompt(inputs="text: abc")), max_output_tokens=64, streamed=streamed)
    return Request(path=dialect.path, body=body, streamed=streamed)


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_call_comes_back_with_arguments_and_usage(api: Any) -> None:
    async with open_server(answers(b'{"level":"high"}')) as server:
        provider = OpenAI("sk-test", server.url, api=api)
        async with provider.open():
            answer = await provider.send(request(provider.dialect))
    completion = provider.dialect.read(answer.body)
    assert (completion.status, completion.arguments) == ("called", b'{"level":"high"}')
    assert completion.usage == server.bills[0].usage


async def test_the_bytes_sent_are_the_bytes_prepared() -> None:
    async with open_server(answers()) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            prepared = request(provider.dialect)
            await provider.send(prepared)
    assert server.requests == [prepared.body]
    assert server.headers[0]["authorization"] == "Bearer sk-test"
    assert server.headers[0]["accept-encoding"] == "identity"
    assert server.headers[0]["content-type"] == "application/json"


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_stream_ends_in_the_same_answer(api: Any) -> None:
    async with open_server(answers(b'{"level":"high"}')) as server:
        provider = OpenAI("sk-test", server.url, api=api)
        async with provider.open():
            reader = provider.dialect.stream_reader()
            async with provider.stream(request(provider.dialect, streamed=True)) as events:
                async for event in events:
                    reader.feed(event)
    assert reader.finished
    completion = provider.dialect.read(reader.body())
    assert (completion.status, completion.arguments) == ("called", b'{"level":"high"}')
    assert completion.usage == server.bills[0].usage
    assert 1 <= reader.output_deltas <= 3


async def test_leaving_a_stream_closes_its_connection() -> None:
    async with open_server(answers(pace_s=0.01)) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            async with provider.stream(request(provider.dialect, streamed=True)) as events:
                async for _ in events:
                    break
            await closed(server)


async def closed(server: FakeOpenAI) -> None:
    """Until the server has seen its last client hang up."""
    with trio.fail_after(5):
        while server.open_connections:
            await trio.sleep(0.001)
