"""The embedded model as a provider, over a fake process: what is sent where, how many at once, and after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tests.fakes.behaviours import answers
from tests.fakes.leaks import nothing_left
from tests.fakes.openai_server import open_server

from stratum.contracts.errors import ModelUnavailable, ProviderError
from stratum.engine.dialects.protocol import CallShape, Prompt
from stratum.engine.local.server import Endpoint
from stratum.engine.providers.local import Local
from stratum.engine.providers.protocol import Request

SCHEMA = (
    b'{"type":"object","properties":{"value":{"type":"integer"}},"required":["value"],"additionalProperties":false}'
)


class FakeModel:
    """Runs where it is told to."""

    def __init__(self, url: str, *, slots: int = 2) -> None:
        self.url = url
        self.slots = slots
        self.token = "first"
        self.failure: ModelUnavailable | None = None

    async def endpoint(self) -> Endpoint:
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure
        return Endpoint(base_url=self.url, token=self.token, model="qwen", context_tokens=4096, slots=self.slots)


def request(provider: Local, *, streamed: bool = False) -> Request:
    shape = CallShape(tool="count", description="", instructions="Count", schema=SCHEMA, model=provider.default_model)
    call = provider.dialect.compile(shape)
    body = call.body(call.conversation(Prompt(inputs="text: abc")), max_output_tokens=16, streamed=streamed)
    return Request(path=provider.dialect.path, body=body, streamed=streamed)


async def test_a_call_carries_the_schema_the_cap_and_the_token() -> None:
    async with nothing_left(), open_server(answers(b'{"value":3}')) as server:
        provider = Local(server=FakeModel(server.url))
        async with provider.open():
            await provider.ready()
            answer = await provider.send(request(provider))
    assert provider.dialect.read(answer.body).arguments == b'{"value":3}'
    assert server.headers[0]["authorization"] == "Bearer first"
    assert b'"response_format":{"type":"json_schema"' in server.requests[0]
    assert b'"max_tokens":16' in server.requests[0]
    assert provider.free


async def test_no_more_calls_are_sent_than_the_model_has_slots() -> None:
    async with nothing_left(), open_server(answers(latency_s=0.01)) as server:
        provider = Local(server=FakeModel(server.url, slots=2))
        async with provider.open():
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(provider.send, request(provider))
            assert len(server.bills) == 10
            assert server.connections <= 2


async def test_a_model_that_was_started_again_is_called_at_its_new_place() -> None:
    async with nothing_left(), open_server(answers()) as first, open_server(answers()) as second:
        model = FakeModel(first.url)
        provider = Local(server=model)
        async with provider.open():
            await provider.send(request(provider))
            model.url, model.token = second.url, "second"
            await provider.send(request(provider))
    assert (len(first.requests), len(second.requests)) == (1, 1)
    assert second.headers[0]["authorization"] == "Bearer second"


async def test_a_stream_comes_event_by_event() -> None:
    async with nothing_left(), open_server(answers(b'{"value":3}')) as server:
        provider = Local(server=FakeModel(server.url))
        reader = provider.dialect.stream_reader()
        async with provider.open(), provider.stream(request(provider, streamed=True)) as events:
            async for event in events:
                reader.feed(event)
    assert provider.dialect.read(reader.body()).arguments == b'{"value":3}'


async def test_a_model_that_cannot_be_had_says_so() -> None:
    async with open_server(answers()) as server:
        model = FakeModel(server.url)
        model.failure = ModelUnavailable(message="no such file", fix="fetch it")
        provider = Local(server=model)
        async with provider.open():
            with pytest.raises(ModelUnavailable, match="no such file"):
                await provider.ready()
            model.failure = None
            await provider.ready()


async def test_a_provider_that_is_not_open_says_so() -> None:
    async with open_server(answers()) as server:
        provider = Local(server=FakeModel(server.url))
        with pytest.raises(ProviderError, match="not open"):
            await provider.send(request(provider))


async def test_a_provider_belongs_to_one_runtime_at_a_time() -> None:
    provider = Local()
    async with provider.open():
        with pytest.raises(ProviderError, match="already open"):
            async with provider.open():
                pytest.fail("opened twice")


def test_the_model_is_named_for_traces() -> None:
    assert Local("smollm2").default_model == "smollm2"
    assert Local().default_model == "qwen-0.5b"


@pytest.mark.parametrize("name", ["smollm2", None])
async def test_the_weights_that_are_asked_for_are_fetched(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is named is fetched by name; else the default, which may fall back to a smaller one."""
    fetched: list[str] = []

    async def fetch(model: str, *, progress: object) -> Path:
        fetched.append(model)
        return tmp_path / "model.gguf"

    async def fetch_default(*, notice: object, progress: object) -> Path:
        return await fetch("the default", progress=progress)

    async with open_server(answers()) as server:

        def local_model(weights: Path) -> FakeModel:
            assert weights == tmp_path / "model.gguf"
            return FakeModel(server.url)

        for replaced in (fetch, fetch_default, local_model):
            monkeypatch.setattr(f"stratum.engine.providers.local.{replaced.__name__}", replaced)
        provider = Local(name)
        async with provider.open():
            await provider.ready()
            await provider.ready()
    assert fetched == [name or "the default"]
