"""The scripted provider, through the real wire format."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from stratum.contracts.errors import ProviderError
from stratum.engine.dialects.protocol import CallShape, Prompt, Received
from stratum.engine.providers.protocol import Answer, Request, TransportFailure
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
