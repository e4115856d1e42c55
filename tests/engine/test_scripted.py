"""The scripted provider, through the real wire format."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from stratum.contracts.errors import ProviderError
from stratum.contracts.price import FREE
from stratum.engine.dialects.protocol import CallShape, Prompt, Received
from stratum.engine.providers.protocol import Answer, Request, StatusError, TransportFailure
from stratum.engine.providers.scripted import Reply, Scripted, scripted

WRAPPED = (
    b'{"type":"object","properties":{"value":{"type":"integer"}},"required":["value"],"additionalProperties":false}'
)


def request(provider: Scripted, *, tool: str = "count", inputs: str = "text: abc") -> Request:
    call = provider.dialect.compile(
        CallShape(tool=tool, description="", instructions="Count", schema=WRAPPED, model="gpt-4o")
    )
    return Request(
        path=provider.dialect.path, body=call.body(call.conversation(Prompt(inputs=inputs)), max_output_tokens=64)
    )


async def test_a_plain_value_is_wrapped_as_the_schema_asks() -> None:
    """CASES A19."""
    provider = scripted(3)
    answer = await provider.send(request(provider))
    assert provider.dialect.read(answer.body).arguments == b'{"value":3}'


async def test_replies_come_in_order_then_otherwise() -> None:
    provider = scripted(1, 2, otherwise=9)
    values = [provider.dialect.read((await provider.send(request(provider))).body).arguments for _ in range(4)]
    assert values == [b'{"value":1}', b'{"value":2}', b'{"value":9}', b'{"value":9}']


async def test_a_function_sees_the_request() -> None:
    async def double(seen: Received) -> int:
        return len(seen.inputs) * seen.attempt

    provider = scripted(double)
    answer = await provider.send(request(provider, inputs="1234"))
    assert provider.dialect.read(answer.body).arguments == b'{"value":4}'


async def test_an_exhausted_script_says_which_function_asked() -> None:
    provider = scripted(functions={"other": [1]})
    with pytest.raises(ProviderError, match="no reply left for attempt 1 of count"):
        await provider.send(request(provider))


async def test_errors_and_statuses_are_given_as_they_are(autojump_clock: MockClock) -> None:
    limited = Answer(status=429, headers={"retry-after": "2"}, body=b"{}")
    provider = scripted(Reply(value=limited, delay_s=3), TransportFailure(reason="reset", sent=True))
    assert await provider.send(request(provider)) is limited
    assert trio.current_time() == 3
    with pytest.raises(TransportFailure, match="reset"):
        await provider.send(request(provider))


async def test_bytes_are_sent_as_they_are() -> None:
    """CASES B10."""
    provider = scripted(b'{"value": ')
    answer = await provider.send(request(provider))
    assert provider.dialect.read(answer.body).arguments == b'{"value": '


async def test_an_object_is_not_wrapped_again() -> None:
    provider = scripted({"value": 3}, {"other": 3})
    assert provider.dialect.read((await provider.send(request(provider))).body).arguments == b'{"value":3}'
    # Not the field that is wanted: it is then the value itself.
    assert provider.dialect.read((await provider.send(request(provider))).body).arguments == b'{"value":{"other":3}}'


async def test_text_usage_and_ending_may_be_scripted() -> None:
    """CASES B19."""
    provider = scripted(Reply(text="No.", finish="refusal"), Reply(value=1, usage=None), Reply(value=1, tool="another"))
    refused, unmetered, misnamed = [
        provider.dialect.read((await provider.send(request(provider))).body) for _ in range(3)
    ]
    assert (refused.status, refused.text) == ("refused", "No.")
    assert unmetered.usage is None
    assert misnamed.tool == "another"
    assert len(provider.billed) == 3


async def test_a_call_that_is_cancelled_while_it_is_answered_is_billed(autojump_clock: MockClock) -> None:
    provider = scripted(otherwise=Reply(value=1, delay_s=10))
    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(provider.send, request(provider))
    assert (len(provider.billed), provider.in_flight, provider.most_in_flight) == (3, 0, 3)


async def test_a_stream_comes_at_the_scripted_pace(autojump_clock: MockClock) -> None:
    provider = scripted(Reply(value=1, delay_s=2, pace_s=1))
    reader = provider.dialect.stream_reader()
    count = 0
    async with provider.stream(request(provider)) as events:
        async for event in events:
            reader.feed(event)
            count += 1
    assert trio.current_time() == 2 + count
    assert provider.dialect.read(reader.body()).arguments == b'{"value":1}'


async def test_a_stream_may_be_refused() -> None:
    provider = scripted(Answer(status=429, headers={}, body=b"{}"))
    with pytest.raises(StatusError):
        async with provider.stream(request(provider)):
            pytest.fail("there is no stream")


async def test_calls_are_free_where_the_price_is_nothing() -> None:
    assert scripted(price=FREE).free
    assert not scripted().free
    assert not scripted(price=None).free
    provider = scripted(1)
    async with provider.open():
        await provider.ready()
