"""The lean transport beside the SDK's: the same requests, the same failures; and servers that mean harm."""

from __future__ import annotations

import base64
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import trio
import trustme
from openai import AsyncOpenAI
from tests.engine.test_faults import server_tls
from tests.engine.test_openai import closed, request
from tests.fakes.behaviours import (
    answers,
    breaks_off,
    endless,
    gzip_bomb,
    hangs,
    hangs_up,
    in_order,
    malformed_json,
    refuses,
    resets_mid_body,
)
from tests.fakes.leaks import nothing_left
from tests.fakes.openai_server import Behaviour, Exchange, FakeOpenAI, open_server

from stratum import Price, Usage, contract, flow, infer, open_runtime
from stratum.contracts.errors import ProviderError
from stratum.contracts.records import LeftInDoubt, Released, Reserved
from stratum.engine.providers.openai import OpenAI, Transport
from stratum.engine.providers.protocol import Answer, TransportFailure

pytestmark = pytest.mark.stratum_network

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PRICE = Price.per_million(input=2, output=8)
SELF_DESCRIPTION = ("user-agent", "x-stainless-")


def lean(url: str, **options: Any) -> OpenAI:
    return OpenAI("sk-test", url, transport="lean", **options)


@asynccontextmanager
async def raw_server(serve: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncGenerator[str]:
    """A server that speaks whatever it likes to each connection; gives its URL."""

    async def guarded(stream: trio.SocketStream) -> None:
        try:
            await serve(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, guarded, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        nursery.cancel_scope.cancel()


async def whole_request(stream: trio.SocketStream) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += await stream.receive_some() or b"\r\n\r\n"
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive_some()
    return head


def says(*parts: bytes) -> Callable[[trio.SocketStream], Awaitable[None]]:
    """Answers the first request of a connection with these bytes, then hangs up."""

    async def serve(stream: trio.SocketStream) -> None:
        await whole_request(stream)
        for part in parts:
            await stream.send_all(part)

    return serve


async def asked(serve: Callable[[trio.SocketStream], Awaitable[None]], **options: Any) -> Answer:
    async with nothing_left(), raw_server(serve) as url:
        provider = lean(url, **options)
        async with provider.open():
            try:
                return await provider.send(request(provider.dialect))
            except TransportFailure as error:
                failure = error
    raise failure


# The same as the SDK's


def spoken(server: FakeOpenAI) -> list[dict[str, str]]:
    """The headers of all requests, without those in which the SDK describes itself."""
    return [
        {name: value for name, value in headers.items() if not name.startswith(SELF_DESCRIPTION)}
        for headers in server.headers
    ]


async def test_a_request_differs_from_the_sdks_in_nothing_but_who_says_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-2")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Trace: a\nno header\nACCEPT: application/json; v=2")
    async with open_server(answers()) as server:
        for transport in ("sdk", "lean"):
            provider = OpenAI("sk-test", server.url, transport=transport)
            async with provider.open():
                await provider.send(request(provider.dialect))
                async with provider.stream(request(provider.dialect, streamed=True)) as events:
                    async for _ in events:
                        pass
    by_sdk, streamed_by_sdk, by_lean, streamed_by_lean = spoken(server)
    assert by_lean == by_sdk
    assert streamed_by_lean == streamed_by_sdk
    assert server.requests[:2] == server.requests[2:]


@pytest.mark.parametrize(
    "url", ["http://me:s%20x@127.0.0.1:{}/v1", "http://127.0.0.1:{}/v1/", "http://127.0.0.1:{}/a b/v1"]
)
async def test_a_base_url_means_the_same(url: str) -> None:
    heads: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        heads.append(await whole_request(stream))
        await stream.send_all(OK)

    async with raw_server(serve) as server:
        for transport in ("sdk", "lean"):
            provider = OpenAI("sk-test", url.format(server.split(":")[-1].partition("/")[0]), transport=transport)
            async with provider.open():
                await provider.send(request(provider.dialect))
    assert [head.splitlines()[0] for head in heads[:1]] == [head.splitlines()[0] for head in heads[1:]]
    by_sdk, by_lean = (
        next(line for line in head.splitlines() if line.lower().startswith(b"authorization")) for head in heads
    )
    assert by_sdk[len("authorization") :] == by_lean[len("authorization") :]


FAULTS: dict[str, Behaviour] = {
    "429": refuses(429, retry_after_s=7, message="Rate limit reached"),
    "500": refuses(500),
    "reset": resets_mid_body,
    "silence": hangs_up,
    "no json": malformed_json,
    "gzip": gzip_bomb(unpacked_bytes=1000),
    "announced": endless(announced=True),
    "endless": endless(announced=False),
    "cut": breaks_off(after_events=1),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_told_in_the_same_words(fault: str) -> None:
    async def outcome(transport: Transport) -> object:
        async with open_server(FAULTS[fault]) as server:
            provider = OpenAI("sk-test", server.url, transport=transport, max_body_bytes=100_000)
            async with provider.open():
                try:
                    answer = await provider.send(request(provider.dialect))
                except TransportFailure as error:
                    return error.reason, error.sent, error.retryable, error.fix
                return answer.status, dict(answer.headers), answer.body

    assert await outcome("lean") == await outcome("sdk")


async def test_a_refused_connection_is_told_in_the_same_words() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
        told: list[tuple[object, ...]] = []
        for transport in ("sdk", "lean"):
            provider = OpenAI("sk-test", url, transport=transport)
            async with provider.open():
                with pytest.raises(TransportFailure) as caught:
                    await provider.send(request(provider.dialect))
            told.append((caught.value.reason, caught.value.sent, caught.value.retryable, caught.value.fix))
    assert told[0] == told[1]


# Settings


def test_the_transport_is_chosen_by_argument_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATUM_TRANSPORT", "carrier pigeon")
    with pytest.raises(ProviderError, match="STRATUM_TRANSPORT='carrier pigeon' is neither sdk nor lean"):
        OpenAI("k")
    bad: Any = "carrier pigeon"
    with pytest.raises(ValueError, match='neither "sdk" nor "lean"'):
        OpenAI("k", transport=bad)
    OpenAI("k", transport="sdk")
    with pytest.raises(ValueError, match="makes no use of client="):
        OpenAI("k", transport="lean", client=AsyncOpenAI)


async def test_a_header_of_the_environment_cannot_smuggle_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_PROJECT_ID", "p\r\nX-Evil: 1")
    with pytest.raises(ProviderError, match="cannot be sent; check OPENAI_CUSTOM_HEADERS"):
        async with lean("http://127.0.0.1:9/v1").open():
            pytest.fail("opened")


async def test_a_header_of_the_environment_cannot_move_the_end_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "content-length: 3\nTransfer-Encoding: chunked")
    async with open_server(answers()) as server:
        provider = lean(server.url)
        async with provider.open():
            prepared = request(provider.dialect)
            await provider.send(prepared)
    assert server.requests == [prepared.body]
    assert "transfer-encoding" not in server.headers[0]


# Connections


async def test_a_connection_is_used_again_and_again() -> None:
    async with nothing_left(), open_server(answers()) as server:
        provider = lean(server.url)
        async with provider.open():
            for _ in range(5):
                await provider.send(request(provider.dialect))
                async with provider.stream(request(provider.dialect, streamed=True)) as events:
                    assert [event async for event in events]
        assert server.connections == 1
        await closed(server)


async def test_an_error_status_does_not_cost_the_connection() -> None:
    async with open_server(in_order(refuses(429), answers())) as server:
        provider = lean(server.url)
        async with provider.open():
            await provider.send(request(provider.dialect))
            await provider.send(request(provider.dialect))
        assert server.connections == 1


async def test_a_stream_that_fails_in_its_user_after_its_end_leaves_the_pool_whole() -> None:
    async with nothing_left(), open_server(answers()) as server:
        provider = lean(server.url)
        async with provider.open():
            with pytest.raises(ZeroDivisionError):
                async with provider.stream(request(provider.dialect, streamed=True)) as events:
                    assert [event async for event in events]
                    raise ZeroDivisionError
            assert (await provider.send(request(provider.dialect))).status == 200


async def test_a_connection_lost_after_the_request_was_sent_is_not_tried_again_down_here() -> None:
    """It may have been billed: whether it is sent again is decided where the reservation is known."""
    async with nothing_left(), open_server(in_order(answers(), hangs_up, answers())) as server:
        provider = lean(server.url)
        async with provider.open():
            await provider.send(request(provider.dialect))
            with pytest.raises(TransportFailure) as caught:
                await provider.send(request(provider.dialect))
            assert caught.value.sent
            assert len(server.requests) == 2


async def test_whoever_waits_longest_for_a_connection_is_served_first() -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        await provider.send(request(provider.dialect))
        order.append(number)

    async with open_server(answers(latency_s=0.002)) as server:
        provider = lean(server.url, max_connections=1)
        async with provider.open(), trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(one, number)
                await trio.testing.wait_all_tasks_blocked()
    assert order == list(range(10))


# Whether it was sent


async def test_a_request_that_waits_for_a_connection_is_known_not_to_have_left() -> None:
    async with nothing_left(), open_server(hangs) as server:
        provider = lean(server.url, max_connections=1)
        first, second = request(provider.dialect), request(provider.dialect)
        async with provider.open(), trio.open_nursery() as nursery:
            nursery.start_soon(provider.send, first)
            while not server.bills:
                await trio.sleep(0.001)
            nursery.start_soon(provider.send, second)
            await trio.testing.wait_all_tasks_blocked()
            assert (first.departure.waiting, second.departure.waiting) == (False, True)
            nursery.cancel_scope.cancel()
        assert second.departure.waiting
        assert len(server.requests) == 1


@contract
class Word:
    text: str


@infer(intent="Say a word", max_output_tokens=100)
def say(about: str) -> Word: ...


@flow
async def say_three() -> None:
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(say, f"{number}")


async def test_calls_cancelled_before_they_were_sent_cost_nothing() -> None:
    """BUDGETS rule 5."""
    async with nothing_left(), open_server(hangs) as server:
        provider = lean(server.url, max_connections=1, price=PRICE, default_model="gpt-4o")
        async with open_runtime(provider=provider, journal=None) as runtime:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say_three)
                with trio.fail_after(60):
                    while not server.bills:
                        await trio.sleep(0.001)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            (run,) = [run for run in await runtime.journal.runs() if run.name == "say_three"]
            records = await runtime.journal.read(run.run)
        assert len(server.bills) == 1
    assert sum(isinstance(record, Reserved) for record in records) == 3
    assert [record.reason for record in records if isinstance(record, Released)] == ["stopped before it was sent"] * 2
    assert sum(isinstance(record, LeftInDoubt) for record in records) == 1


async def test_a_request_timeout_before_a_call_was_sent_costs_nothing() -> None:
    async with nothing_left(), open_server(hangs) as server:
        provider = lean(server.url, max_connections=1, price=PRICE, default_model="gpt-4o")
        async with (
            open_runtime(provider=provider, journal=None, request_timeout_s=0.05, transport_retries=0) as runtime,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(provider.send, request(provider.dialect))
            while not server.bills:
                await trio.sleep(0.001)
            with pytest.raises(ProviderError, match="no answer in 0.05 s"):
                await say("a")
            records = await runtime.journal.read(runtime.session)
            nursery.cancel_scope.cancel()
        assert len(server.requests) == 1
    assert [record.reason for record in records if isinstance(record, Released)] == ["no answer in 0.05 s"]
    assert not any(isinstance(record, LeftInDoubt) for record in records)


# TLS and proxies


@pytest.mark.parametrize("password", ["", "me:secret@"])
async def test_a_proxy_makes_a_tunnel_for_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = server_tls(authority, host="model.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    seen: list[bytes] = []

    async with nothing_left(), open_server(answers(), tls=context) as server:
        port = int(server.url.rsplit(":", 1)[1].partition("/")[0])
        async with raw_server(partial(tunnel, port, seen)) as proxy:
            monkeypatch.setenv("https_proxy", proxy.removesuffix("/v1").replace("//", f"//{password}"))
            provider = lean("https://model.invalid/v1")
            async with provider.open():
                assert (await provider.send(request(provider.dialect))).status == 200
                assert (await provider.send(request(provider.dialect))).status == 200
    (head,) = seen
    assert head.startswith(b"CONNECT model.invalid:443 HTTP/1.1\r\nHost: model.invalid:443\r\n")
    wanted = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:secret")
    assert (wanted in head) is bool(password)
    assert "proxy-authorization" not in server.headers[0]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"", b"SSH-2.0\r\n\r\n"])
async def test_a_proxy_that_makes_no_tunnel_was_not_sent_the_request(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with nothing_left(), raw_server(refuse) as proxy:
        monkeypatch.setenv("https_proxy", proxy)
        provider = lean("https://model.invalid/v1")
        async with provider.open():
            with pytest.raises(TransportFailure, match="the proxy refused to reach model.invalid") as caught:
                await provider.send(request(provider.dialect))
    assert (caught.value.sent, "HTTPS_PROXY" in caught.value.fix) == (False, True)


async def test_a_proxy_of_another_kind_is_refused_when_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "socks5://me:secret@127.0.0.1:1080")
    with pytest.raises(ProviderError, match="kind 'socks5'") as caught:
        async with lean("https://model.invalid/v1").open():
            pytest.fail("opened")
    assert "secret" not in str(caught.value)


async def test_a_socks_proxy_is_left_to_the_sdk_where_nobody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY", "STRATUM_TRANSPORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(ImportError, match="socksio"):
        async with OpenAI("sk-test", "https://model.invalid/v1").open():
            pytest.fail("opened without the package for SOCKS")


async def test_the_lean_transport_is_used_where_nobody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATUM_TRANSPORT", raising=False)
    async with open_server(answers()) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            await provider.send(request(provider.dialect))
    assert server.headers[0]["user-agent"].startswith("stratum-runtime/")


async def test_a_host_of_no_proxy_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "model.invalid")
    monkeypatch.setenv("NO_PROXY", "model.invalid")
    provider = lean("https://model.invalid/v1")
    async with provider.open():
        with pytest.raises(TransportFailure, match="cannot resolve model.invalid"):
            await provider.send(request(provider.dialect))


async def test_a_certificate_for_another_name_is_not_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with nothing_left(), open_server(answers(), tls=server_tls(authority)) as server:
        provider = lean(server.url.replace("localhost", "127.0.0.1"))
        async with provider.open():
            with pytest.raises(TransportFailure, match="certificate of 127.0.0.1 is not trusted"):
                await provider.send(request(provider.dialect))
    assert server.requests == []


# What servers may send


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;ext=1\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
    ],
)
@pytest.mark.parametrize("cut", [False, True])
async def test_every_form_of_an_answer_is_understood(answer: bytes, cut: bool) -> None:
    parts = [answer[at : at + 1] for at in range(len(answer))] if cut else [answer]
    assert (await asked(says(*parts))).body == b"{}"


async def test_an_answer_without_a_body_is_one() -> None:
    assert (await asked(says(b"HTTP/1.1 204 No Content\r\n\r\n"))).body == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\x00\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_broken_connection(answer: bytes) -> None:
    with pytest.raises(TransportFailure, match="^the connection to 127.0.0.1 broke: ") as caught:
        await asked(says(answer))
    assert (caught.value.sent, caught.value.retryable) == (True, True)


@pytest.mark.parametrize("line", [b"X-Header: yes\r\n", b"X-Long: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_headers_without_end_are_cut_off(line: bytes) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await whole_request(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n" if line.startswith(b"X") else b"")
        while True:
            await stream.send_all(line * 1000)

    with trio.fail_after(60), pytest.raises(TransportFailure) as caught:
        await asked(serve)
    assert caught.value.sent


async def test_a_second_answer_that_nobody_asked_for_is_given_to_nobody() -> None:
    """Response splitting: what follows the answer to one request must not become another's."""
    connections: list[int] = []

    async def serve(stream: trio.SocketStream) -> None:
        connections.append(1)
        await whole_request(stream)
        await stream.send_all(OK + OK.replace(b"{}", b"[]"))
        await stream.receive_some()

    async with nothing_left(), raw_server(serve) as url:
        provider = lean(url)
        async with provider.open():
            for _ in range(3):
                assert (await provider.send(request(provider.dialect))).body == b"{}"
    assert len(connections) == 3


async def test_what_is_said_on_an_idle_connection_is_given_to_nobody() -> None:
    said = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        await whole_request(stream)
        await stream.send_all(OK)
        await said.wait()
        await stream.send_all(OK.replace(b"{}", b"[]"))
        await stream.receive_some()

    async with nothing_left(), raw_server(serve) as url:
        provider = lean(url)
        async with provider.open():
            assert (await provider.send(request(provider.dialect))).body == b"{}"
            said.set()
            await trio.testing.wait_all_tasks_blocked()
            assert (await provider.send(request(provider.dialect))).body == b"{}"


async def test_an_answer_that_comes_before_the_whole_request_was_read_is_received() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(10)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        # Read on, for a client that is still sending would otherwise lose the answer to a reset.
        async for _ in stream:
            pass

    assert (await asked(serve)).status == 413


@pytest.mark.parametrize("kind", ["content-length", "chunked"])
async def test_a_body_of_single_bytes_is_capped_like_any_other(kind: Literal["content-length", "chunked"]) -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.bill(Usage(input_tokens=1, output_tokens=1))
        head = b"HTTP/1.1 200 OK\r\n"
        head += b"Transfer-Encoding: chunked\r\n\r\n" if kind == "chunked" else b"Connection: close\r\n\r\n"
        await exchange.stream.send_all(head)
        while True:
            await exchange.stream.send_all((b"1\r\n \r\n" if kind == "chunked" else b" ") * 1000)

    async with nothing_left(), open_server(serve) as server:
        provider = lean(server.url, max_body_bytes=10_000)
        async with provider.open():
            with pytest.raises(TransportFailure, match="longer than 10,000 bytes"):
                await provider.send(request(provider.dialect))
            await closed(server)


async def tunnel(port: int, seen: list[bytes], stream: trio.SocketStream) -> None:
    """A proxy whose every tunnel leads to `port` on this machine."""
    seen.append(await stream.receive_some())
    async with await trio.open_tcp_stream("127.0.0.1", port) as server:
        await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
            async for part in source:
                await sink.send_all(part)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump, stream, server)
            nursery.start_soon(pump, server, stream)
