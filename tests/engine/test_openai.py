"""The OpenAI provider against a server on the loopback interface."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest
import trio
from tests.fakes.behaviours import answers
from tests.fakes.openai_server import Exchange, FakeOpenAI, open_server

from stratum.contracts.errors import ProviderError
from stratum.engine.dialects.protocol import CallShape, Dialect, Prompt
from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.protocol import Request

pytestmark = [pytest.mark.usefixtures("transport"), pytest.mark.stratum_network]

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
            await provider.ready()
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


async def test_a_stream_may_be_left_with_more_of_it_received_already() -> None:
    async def all_at_once(exchange: Exchange) -> None:
        await exchange.begin_events()
        await exchange.stream.send_all(b"9\r\ndata: 1\n\n\r\n" * 1000)
        await exchange.until_closed()

    async with open_server(all_at_once) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            async with provider.stream(request(provider.dialect, streamed=True)) as events:
                async for event in events:
                    assert event == b"1"
                    break
            await closed(server)


async def closed(server: FakeOpenAI) -> None:
    """Until the server has seen its last client hang up."""
    with trio.fail_after(60):
        while server.open_connections:
            await trio.sleep(0.001)


async def test_a_key_that_the_server_quotes_is_not_passed_on() -> None:
    async def quotes(exchange: Exchange) -> None:
        await exchange.respond(b'{"error":{"message":"bad key: my-own-key-format"}}', status=401)

    async with open_server(quotes) as server:
        provider = OpenAI("my-own-key-format", server.url)
        async with provider.open():
            answer = await provider.send(request(provider.dialect))
    assert answer.body == b'{"error":{"message":"bad key: ***"}}'


@pytest.mark.parametrize("key", ["sk-abc\ndef", "sk-abc def", "sk-äöü"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ProviderError, match="characters that no header can carry") as caught:
        OpenAI(key)
    assert key not in str(caught.value)


async def test_space_around_a_key_is_not_part_of_it() -> None:
    async with open_server(answers()) as server:
        provider = OpenAI(" sk-abc\n", server.url)
        async with provider.open():
            await provider.send(request(provider.dialect))
    assert server.headers[0]["authorization"] == "Bearer sk-abc"


def test_openai_itself_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ProviderError, match="no API key; set OPENAI_API_KEY"):
        OpenAI()


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/v1", "https://", "/v1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not an HTTP URL"):
        OpenAI("k", url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://acme.openai.azure.com/openai/v1", "azure"),
        ("https://openrouter.ai/api/v1", "openrouter.ai"),
        ("https://notopenai.com/v1", "notopenai.com"),
        ("http://user:secret@127.0.0.1:8080/v1", "127.0.0.1"),
    ],
)
def test_a_provider_is_named_after_its_server(url: str, name: str) -> None:
    assert OpenAI("k", url).name == name


def test_streaming_may_be_left_to_whether_the_server_is_openais_own() -> None:
    assert not OpenAI("k", stream="auto").streams
    assert OpenAI("k", "http://127.0.0.1:1/v1", stream="auto").streams
    assert OpenAI("k", stream=True).streams


async def test_azure_is_reached_through_its_own_client() -> None:
    from openai import AsyncAzureOpenAI

    async with open_server(answers(b'{"level":"high"}')) as server:
        azure = partial(
            AsyncAzureOpenAI,
            azure_endpoint=server.url.removesuffix("/v1"),
            api_version="2026-01-01",
            api_key="azure-key",
        )
        provider = OpenAI(client=azure)
        async with provider.open():
            answer = await provider.send(request(provider.dialect))
    assert provider.name == "azure"
    assert provider.dialect.read(answer.body).status == "called"
    assert server.headers[0]["api-key"] == "azure-key"


async def test_a_redirect_is_not_followed() -> None:
    async with open_server(answers()) as elsewhere:

        async def redirects(exchange: Exchange) -> None:
            await exchange.respond(b"", status=307, headers={"location": f"{elsewhere.url}/responses"})

        async with open_server(redirects) as server:
            provider = OpenAI("sk-test", server.url)
            async with provider.open():
                answer = await provider.send(request(provider.dialect))
    assert answer.status == 307
    assert elsewhere.requests == []


async def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with open_server(answers()) as server:
        monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
        distant = OpenAI("sk-test", "http://model.invalid/v1")
        async with distant.open():
            assert (await distant.send(request(distant.dialect))).status == 200
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        near = OpenAI("sk-test", server.url)
        async with near.open():
            assert (await near.send(request(near.dialect))).status == 200


async def test_a_provider_that_is_not_open_says_so() -> None:
    provider = OpenAI("sk-test", "http://127.0.0.1:9/v1")
    with pytest.raises(ProviderError, match="not open"):
        await provider.send(request(provider.dialect))
    async with provider.open():
        pass
    with pytest.raises(ProviderError, match="not open"):
        provider.stream(request(provider.dialect))


async def test_a_provider_belongs_to_one_runtime_at_a_time() -> None:
    provider = OpenAI("sk-test", "http://127.0.0.1:9/v1")
    async with provider.open():
        with pytest.raises(ProviderError, match="already open"):
            async with provider.open():
                pytest.fail("opened twice")
    async with provider.open():
        pass


async def test_connections_left_idle_by_a_burst_are_closed_by_a_later_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratum.engine.providers.transport.SWEEP_S", 0.05)
    monkeypatch.setattr("stratum.engine.providers.connection_pool.KEEPALIVE_S", 0.05)
    async with open_server(answers(latency_s=0.02)) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            async with trio.open_nursery() as nursery:
                for _ in range(30):
                    nursery.start_soon(provider.send, request(provider.dialect))
            burst = server.connections  # on a slow machine some of them are closed by now
            with trio.fail_after(60):
                while server.open_connections > 8:
                    await trio.sleep(0.03)
                    await provider.send(request(provider.dialect))
    assert burst > 8


def test_importing_a_provider_imports_neither_openai_nor_httpx2() -> None:
    script = (
        "import sys, stratum.engine.providers.openai, stratum.engine.providers.choose, stratum.engine.providers.replay; "
        "print([name for name in ('openai', 'httpx2') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
