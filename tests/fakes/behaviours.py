"""What the server on the loopback interface can answer: as a model does, or as networks and bad servers do."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import msgspec
import trio

from stratum.contracts.price import Usage
from stratum.engine.dialects.protocol import Finish, Received
from tests.fakes.openai_server import Behaviour, Exchange, head
from tests.fakes.schema_example import example

Arguments = bytes | Callable[[Received], bytes] | None
"""What the model passes to the tool; `None`: the plainest value that the schema accepts."""


def answers(
    arguments: Arguments = None,
    *,
    text: str | None = None,
    tool: str | None = None,
    usage: Usage | None = None,
    reports_usage: bool = True,
    finish: Finish = "stop",
    latency_s: float = 0,
    pace_s: float = 0,
) -> Behaviour:
    """A complete answer, billed as soon as the request is there; event by event where that was asked for.

    `text` is said instead of the call, `tool` called instead of the one that was asked for. `usage` is by
    default a token for every four bytes, the output at most the cap.
    """

    async def behave(exchange: Exchange) -> None:
        passed = None if text is not None else _passed(arguments, exchange.received)
        used = usage or counted(exchange, passed if passed is not None else (text or "").encode())
        exchange.bill(used)
        body = exchange.dialect.write(
            tool=tool or exchange.received.tool,
            arguments=passed,
            usage=used if reports_usage else None,
            model=exchange.received.model,
            text=text or "",
            finish=finish,
            extra={"id": f"resp_{exchange.number}"},
        )
        await trio.sleep(latency_s)
        if not exchange.received.streamed:
            await exchange.respond(body)
            return
        await exchange.begin_events()
        for event in exchange.dialect.write_stream(body):
            await trio.sleep(pace_s)
            await exchange.send_event(event)
        await exchange.end_events()

    return behave


def in_order(*behaviours: Behaviour, then: Behaviour | None = None) -> Behaviour:
    """One after the other, then the last one, or `then`, for every later request."""

    async def behave(exchange: Exchange) -> None:
        behaviour = behaviours[min(exchange.number, len(behaviours)) - 1]
        await (then if then and exchange.number > len(behaviours) else behaviour)(exchange)

    return behave


def every(nth: int, fault: Behaviour, *, otherwise: Behaviour) -> Behaviour:
    """`fault` for every `nth` request."""

    async def behave(exchange: Exchange) -> None:
        await (otherwise if exchange.number % nth else fault)(exchange)

    return behave


def refuses(status: int, *, retry_after_s: float | None = None, message: str = "no", billed: bool = False) -> Behaviour:
    """An error status with OpenAI's error body."""

    async def behave(exchange: Exchange) -> None:
        if billed:
            exchange.bill(counted(exchange, b""))
        headers = {} if retry_after_s is None else {"retry-after": f"{retry_after_s:g}"}
        error = {"error": {"message": message, "type": "fake", "param": None, "code": None}}
        await exchange.respond(msgspec.json.encode(error), status=status, headers=headers)

    return behave


async def malformed_json(exchange: Exchange) -> None:
    """Status 200, and a body that breaks off in the middle of its JSON."""
    exchange.bill(counted(exchange, b""))
    await exchange.respond(b'{"id": "resp_1", "output": [{"type": "function_ca')


async def resets_mid_body(exchange: Exchange) -> None:
    """The first half of an answer, then RST."""
    exchange.bill(counted(exchange, b""))
    await exchange.stream.send_all(head(200, {"content-length": "1000"}) + b'{"id": ')
    await exchange.reset()


async def hangs_up(exchange: Exchange) -> None:
    """Takes the request, and closes the connection without a word."""
    exchange.bill(counted(exchange, b""))
    await exchange.stream.aclose()


async def hangs(exchange: Exchange) -> None:
    """Takes the request, and never answers."""
    exchange.bill(counted(exchange, b""))
    await exchange.until_closed()


def trickles(*, interval_s: float) -> Behaviour:
    """Slow loris: a byte now and then, for ever; a timeout per read never sees anything amiss."""

    async def behave(exchange: Exchange) -> None:
        exchange.bill(counted(exchange, b""))
        await exchange.stream.send_all(head(200, {"content-length": "1000000"}))
        while True:
            await exchange.stream.send_all(b" ")
            await trio.sleep(interval_s)

    return behave


def breaks_off(*, after_events: int) -> Behaviour:
    """A stream that ends, properly closed, before its last event."""

    async def behave(exchange: Exchange) -> None:
        passed = _passed(None, exchange.received)
        used = counted(exchange, passed)
        exchange.bill(used)
        body = exchange.dialect.write(
            tool=exchange.received.tool, arguments=passed, usage=used, model=exchange.received.model
        )
        await exchange.begin_events()
        for event in exchange.dialect.write_stream(body)[:after_events]:
            await exchange.send_event(event)
        await exchange.end_events()

    return behave


def gzip_bomb(*, unpacked_bytes: int) -> Behaviour:
    """A small compressed answer to a client that declined compression."""
    packed = gzip.compress(b" " * unpacked_bytes)

    async def behave(exchange: Exchange) -> None:
        exchange.bill(counted(exchange, b""))
        await exchange.respond(packed, headers={"content-encoding": "gzip"})

    return behave


def endless(*, announced: bool) -> Behaviour:
    """A body without end; `announced` says its length beforehand."""

    async def behave(exchange: Exchange) -> None:
        exchange.bill(counted(exchange, b""))
        length = {"content-length": str(2**40)} if announced else {"transfer-encoding": "chunked"}
        await exchange.stream.send_all(head(200, length))
        while True:
            await exchange.stream.send_all(b"10000\r\n" + b" " * 0x10000 + b"\r\n")

    return behave


def counted(exchange: Exchange, output: bytes) -> Usage:
    """A token for every four bytes; at least one comes out, at most the cap."""
    return Usage(
        input_tokens=-(-len(exchange.body) // 4),
        output_tokens=min(exchange.received.max_output_tokens, max(1, -(-len(output) // 4))),
    )


def _passed(arguments: Arguments, received: Received) -> bytes:
    if arguments is None:
        return msgspec.json.encode(example(received.schema))
    return arguments if isinstance(arguments, bytes) else arguments(received)
