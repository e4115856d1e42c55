"""Every way a provider or the network fails, as the transport sees it: told truthfully, ended in time, nothing left behind."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme
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
    trickles,
)
from tests.fakes.leaks import nothing_left
from tests.fakes.openai_server import Behaviour, Exchange, head, open_server, serve_process

from stratum.engine.providers.openai import OpenAI
from stratum.engine.providers.protocol import Answer, StatusError, TransportFailure

pytestmark = [pytest.mark.usefixtures("transport"), pytest.mark.stratum_network]


async def send(behaviour: Behaviour, *, max_body_bytes: int = 2**20) -> Answer:
    """One call to a server that behaves so; what it failed with is raised when all is closed."""
    failure: TransportFailure | None = None
    answer: Answer | None = None
    async with nothing_left(), open_server(behaviour) as server:
        provider = OpenAI("sk-test", server.url, max_body_bytes=max_body_bytes)
        async with provider.open():
            try:
                answer = await provider.send(request(provider.dialect))
            except TransportFailure as error:
                failure = error
                await closed(server)
    if failure is not None:
        raise failure
    assert answer is not None
    return answer


async def test_a_429_is_an_answer_with_its_retry_after() -> None:
    answer = await send(refuses(429, retry_after_s=7, message="Rate limit reached"))
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert b"Rate limit reached" in answer.body


async def test_a_500_is_an_answer_and_is_not_retried_below_the_attempt_loop() -> None:
    async with nothing_left(), open_server(refuses(500)) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            assert (await provider.send(request(provider.dialect))).status == 500
        assert len(server.requests) == 1


async def test_a_reset_in_the_middle_of_a_body_was_sent_and_may_be_tried_again() -> None:
    with pytest.raises(TransportFailure, match="connection to 127.0.0.1 broke") as caught:
        await send(resets_mid_body)
    assert (caught.value.sent, caught.value.retryable) == (True, True)


async def test_a_server_that_hangs_up_without_a_word_may_have_billed() -> None:
    with pytest.raises(TransportFailure, match="broke") as caught:
        await send(hangs_up)
    assert caught.value.sent


@pytest.mark.parametrize("behaviour", [hangs, trickles(interval_s=0.01)])
async def test_a_call_that_never_ends_is_ended_by_its_callers_scope(behaviour: Behaviour) -> None:
    async with nothing_left(), open_server(behaviour) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            with trio.move_on_after(0.1) as scope:
                await provider.send(request(provider.dialect))
            assert scope.cancelled_caught
            await closed(server)


async def test_a_hundred_calls_cancelled_at_once_leave_no_connection() -> None:
    async with nothing_left(), open_server(hangs) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(provider.send, request(provider.dialect))
                with trio.fail_after(60):
                    while len(server.bills) < 100:
                        await trio.sleep(0.01)
                nursery.cancel_scope.cancel()
            await closed(server)


async def test_malformed_json_is_an_answer_that_reads_as_unreadable() -> None:
    answer = await send(malformed_json)
    assert OpenAI("sk-test").dialect.read(answer.body).status == "unreadable"


async def test_a_compressed_answer_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(TransportFailure, match="compressed \\(gzip\\)") as caught:
        await send(gzip_bomb(unpacked_bytes=50_000_000))
    assert (caught.value.sent, caught.value.retryable) == (True, False)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_without_end_is_cut_off_at_the_cap(announced: bool) -> None:
    with pytest.raises(TransportFailure, match="longer than 1,048,576 bytes") as caught:
        await send(endless(announced=announced))
    assert (caught.value.sent, caught.value.retryable) == (True, False)


async def test_a_body_of_exactly_the_cap_is_received() -> None:
    async def exact(exchange: Exchange) -> None:
        await exchange.respond(b" " * 2**20)

    assert len((await send(exact)).body) == 2**20


async def test_a_connection_that_the_server_closed_while_idle_is_not_used_again() -> None:
    async def answers_and_closes(exchange: Exchange) -> None:
        await answers()(exchange)
        await exchange.stream.aclose()

    async with nothing_left(), open_server(answers_and_closes) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            for _ in range(5):
                assert (await provider.send(request(provider.dialect))).status == 200
                await closed(server)
        assert server.connections == 5


async def test_a_refused_connection_was_not_sent() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
        failure = await fails(OpenAI("sk-test", url))
    assert str(failure).startswith("cannot connect to 127.0.0.1: ")
    assert (failure.sent, failure.retryable) == (False, True)


async def test_a_name_that_does_not_exist_was_not_sent_and_is_not_tried_again() -> None:
    trio.socket.set_custom_hostname_resolver(NoSuchName(socket.EAI_NONAME))
    failure = await fails(OpenAI("sk-test", "http://model.invalid/v1"))
    assert str(failure) == "cannot resolve model.invalid: no answer"
    assert (failure.sent, failure.retryable) == (False, False)


async def test_a_resolver_that_is_away_is_tried_again() -> None:
    trio.socket.set_custom_hostname_resolver(NoSuchName(socket.EAI_AGAIN))
    failure = await fails(OpenAI("sk-test", "http://model.invalid/v1"))
    assert (failure.sent, failure.retryable) == (False, True)


async def test_an_untrusted_certificate_was_not_sent_and_says_how_to_trust_it(tmp_path: Path) -> None:
    async with nothing_left(), open_server(answers(), tls=server_tls(trustme.CA())) as server:
        failure = await fails(OpenAI("sk-test", server.url))
        assert "certificate of localhost is not trusted" in str(failure)
        assert (failure.sent, failure.retryable) == (False, False)
        assert "SSL_CERT_FILE" in failure.fix


async def test_a_certificate_authority_of_ones_own_is_trusted_by_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with nothing_left(), open_server(answers(), tls=server_tls(authority)) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            assert (await provider.send(request(provider.dialect))).status == 200


async def test_https_to_a_server_that_speaks_http_was_not_sent() -> None:
    async def bad_request(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(head(400, {"content-length": "0"}))

    async with nothing_left(), trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, bad_request, 0, host="127.0.0.1"))
        url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        failure = await fails(OpenAI("sk-test", url))
        nursery.cancel_scope.cancel()
    assert str(failure).startswith("no TLS with 127.0.0.1")
    assert (failure.sent, failure.retryable) == (False, False)


async def test_a_handshake_that_never_ends_is_ended_by_the_connect_timeout() -> None:
    async with nothing_left():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"
            failure = await fails(OpenAI("sk-test", url, connect_timeout_s=0.1))
    assert str(failure) == "no connection to 127.0.0.1 within the connect timeout"
    assert (failure.sent, failure.retryable) == (False, True)


async def test_a_stream_answered_by_an_error_status_says_so() -> None:
    async with nothing_left(), open_server(refuses(429, retry_after_s=3)) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            with pytest.raises(StatusError) as caught:
                async with provider.stream(request(provider.dialect, streamed=True)):
                    pytest.fail("there is no stream")
    assert (caught.value.answer.status, caught.value.answer.headers["retry-after"]) == (429, "3")


async def test_a_stream_that_cannot_be_begun_was_not_sent() -> None:
    provider = OpenAI("sk-test", "http://127.0.0.1:9/v1")
    async with provider.open():
        with pytest.raises(TransportFailure, match="cannot connect") as caught:
            async with provider.stream(request(provider.dialect, streamed=True)):
                pytest.fail("there is no stream")
    assert not caught.value.sent


async def test_a_stream_that_ends_early_is_left_unfinished() -> None:
    async with nothing_left(), open_server(breaks_off(after_events=4)) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            reader = provider.dialect.stream_reader()
            async with provider.stream(request(provider.dialect, streamed=True)) as events:
                async for event in events:
                    reader.feed(event)
    assert not reader.finished
    assert provider.dialect.read(reader.body()).status == "failed"


async def test_a_stream_reset_on_the_way_is_a_transport_failure() -> None:
    async def resets(exchange: Exchange) -> None:
        await exchange.begin_events()
        await exchange.send_event(b'{"type":"response.created","response":{}}')
        await exchange.reset()

    async with nothing_left(), open_server(resets) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            with pytest.raises(TransportFailure, match="broke") as caught:
                async with provider.stream(request(provider.dialect, streamed=True)) as events:
                    async for _ in events:
                        pass
    assert caught.value.sent


async def test_a_stream_is_ended_by_its_callers_scope() -> None:
    async with nothing_left(), open_server(answers(pace_s=0.05)) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            with trio.move_on_after(0.1) as scope:
                async with provider.stream(request(provider.dialect, streamed=True)) as events:
                    async for _ in events:
                        pass
            assert scope.cancelled_caught
            await closed(server)


async def test_a_failure_inside_a_stream_is_not_hidden_by_closing_it() -> None:
    async with nothing_left(), open_server(answers()) as server:
        provider = OpenAI("sk-test", server.url)
        async with provider.open():
            with pytest.raises(ZeroDivisionError):
                async with provider.stream(request(provider.dialect, streamed=True)) as events:
                    async for _ in events:
                        raise ZeroDivisionError
            await closed(server)


async def test_the_calls_that_wait_for_a_connection_are_served_in_turn() -> None:
    async with nothing_left(), open_server(in_order(answers(latency_s=0.01))) as server:
        provider = OpenAI("sk-test", server.url, max_connections=3)
        async with provider.open():
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(provider.send, request(provider.dialect))
            assert len(server.bills) == 20
            assert server.connections <= 3


@pytest.fixture(scope="module", params=["sdk", "lean"])
def with_64_descriptors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What became of 500 calls at once: by default, and with 200 connections."""
    root = Path(__file__).resolve().parents[2]
    log = tmp_path_factory.mktemp("fake") / "bills.jsonl"
    with serve_process(log, "--latency-ms", "50") as server:
        command = [sys.executable, "-m", "tests.fakes.few_descriptors", server.url]
        chosen = os.environ | {"STRATUM_TRANSPORT": request.param}
        ended = subprocess.run(command, cwd=root, env=chosen, capture_output=True, text=True, check=True, timeout=120)
    return ended.stdout.splitlines()


def test_five_hundred_calls_are_served_with_64_file_descriptors(with_64_descriptors: list[str]) -> None:
    assert with_64_descriptors[0] == "500 answered, 0 failed"


def test_running_out_of_file_descriptors_is_told_as_such(with_64_descriptors: list[str]) -> None:
    assert "failed: no file descriptor left for a connection; raise `ulimit -n`" in with_64_descriptors[1]


async def fails(provider: OpenAI) -> TransportFailure:
    async with provider.open():
        with pytest.raises(TransportFailure) as caught:
            await provider.send(request(provider.dialect))
    return caught.value


def server_tls(authority: trustme.CA, *, host: str = "localhost") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]  # also takes pyOpenSSL's
    return context


class NoSuchName(trio.abc.HostnameResolver):
    def __init__(self, code: int) -> None:
        self.code = code

    async def getaddrinfo(self, *_: object, **__: object) -> list[object]:  # type: ignore[override]
        raise socket.gaierror(self.code, "no answer")

    async def getnameinfo(self, *_: object, **__: object) -> tuple[str, str]:  # type: ignore[override]
        raise socket.gaierror(self.code, "no answer")
