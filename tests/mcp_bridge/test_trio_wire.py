from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from stratum.mcp_bridge.trio_wire import TrioWire
from stratum.mcp_bridge.wire import MAX_LINE, TOO_LONG, Wire

Ends = tuple[TrioWire, int, int]
"""A wire, where what it reads is written, and where what it writes is read."""


def pipes() -> Ends:
    source, arriving = os.pipe()
    replies, sink = os.pipe()
    return TrioWire(Wire(source, sink)), arriving, replies


def socket_pair() -> Ends:
    # What Node gives a child as its standard input and output.
    server, client = socket.socketpair()
    ours, theirs = server.detach(), client.detach()
    return TrioWire(Wire(ours, ours)), theirs, theirs


@pytest.fixture(params=[pipes, socket_pair])
def ends(request: pytest.FixtureRequest) -> Ends:
    make: Callable[[], Ends] = request.param
    return make()


async def put(descriptor: int, text: bytes, *, close: bool = True) -> None:
    """As a client that has other things to do."""

    def write() -> None:
        rest = memoryview(text)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if close:
            os.close(descriptor)

    await trio.to_thread.run_sync(write)


async def got(descriptor: int, size: int) -> bytes:
    def read() -> bytes:
        whole = bytearray()
        while len(whole) < size:
            whole += os.read(descriptor, size - len(whole))
        return bytes(whole)

    return await trio.to_thread.run_sync(read)


async def received(wire: TrioWire) -> list[bytes]:
    lines: list[bytes] = []
    while (line := await wire.receive_line()) is not None:
        lines.append(line)
    return lines


async def test_lines_come_one_at_a_time_and_then_the_end(ends: Ends) -> None:
    wire, arriving, _ = ends
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put, arriving, b'{"a": 1}\n\n' + b"x" * 5_000_000 + b'\n{"half":')

        assert await received(wire) == [b'{"a": 1}', b"", b"x" * 5_000_000]


async def test_a_line_that_comes_in_parts_is_read_once_it_is_whole(ends: Ends) -> None:
    wire, arriving, _ = ends
    lines: list[bytes | None] = []

    async def read() -> None:
        lines.append(await wire.receive_line())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for part in (b'{"a"', b": 1", b"}"):
            os.write(arriving, part)
            await trio.testing.wait_all_tasks_blocked()
        assert lines == []
        os.write(arriving, b"\n")

    assert lines == [b'{"a": 1}']


async def test_it_goes_on_where_the_wire_before_it_stopped() -> None:
    source, arriving = os.pipe()
    os.write(arriving, b"first\nsecond\nthi")
    wire = Wire(source, os.open(os.devnull, os.O_WRONLY))
    assert wire.read_line() == b"first"
    os.write(arriving, b"rd\n")
    os.close(arriving)

    assert await received(TrioWire(wire)) == [b"second", b"third"]


@pytest.mark.parametrize("hears", [True, False])
async def test_a_line_that_is_too_long_is_refused_and_the_next_one_read(hears: bool) -> None:
    wire, arriving, replies = pipes()
    if not hears:
        os.close(replies)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put, arriving, b"x" * (MAX_LINE + 2) + b"\nnext\n")

        assert await received(wire) == [b"next"]
    if hears:
        assert await got(replies, len(TOO_LONG)) == TOO_LONG


async def test_long_texts_are_sent_whole_one_after_the_other(ends: Ends) -> None:
    wire, _, replies = ends
    texts = [letter * 1_000_000 for letter in (b"a", b"b", b"c")]
    async with trio.open_nursery() as nursery:
        for text in texts:
            nursery.start_soon(wire.send, text)
        read = await got(replies, 3_000_000)

    order = [bytes([read[place]]) for place in (0, 1_000_000, 2_000_000)]
    assert sorted(order) == [b"a", b"b", b"c"]
    assert read == b"".join(letter * 1_000_000 for letter in order)


async def test_a_client_that_does_not_listen_holds_up_nobody_else(ends: Ends, autojump_clock: MockClock) -> None:
    wire, arriving, _ = ends
    with trio.move_on_after(60) as waited:
        await wire.send(b"y" * 10_000_000)

    assert waited.cancelled_caught
    await put(arriving, b"still here\n", close=False)
    assert await wire.receive_line() == b"still here"


async def test_a_line_that_never_ends_holds_up_nobody_else() -> None:
    endless = os.open("/dev/zero", os.O_RDONLY)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(TrioWire(Wire(endless, endless)).receive_line)
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    os.close(endless)


async def test_a_client_that_is_gone_is_told_as_such(ends: Ends) -> None:
    wire, arriving, replies = ends
    for end in {arriving, replies}:
        os.close(end)

    assert await wire.receive_line() is None
    with pytest.raises(BrokenPipeError):
        await wire.send(b"{}\n")


async def test_a_client_that_leaves_without_hearing_everything_has_left(ends: Ends) -> None:
    wire, arriving, replies = ends
    os.write(arriving, b"said\n")
    await wire.send(b"unheard\n")
    for end in {arriving, replies}:
        os.close(end)

    assert await received(wire) == [b"said"]


async def test_files_will_do(tmp_path: Path) -> None:
    (tmp_path / "said").write_bytes(b"one\ntwo\n")
    with (tmp_path / "said").open("rb") as said, (tmp_path / "heard").open("wb") as heard:
        wire = TrioWire(Wire(said.fileno(), heard.fileno()))
        for line in await received(wire):
            await wire.send(line.upper() + b"\n")

    assert (tmp_path / "heard").read_bytes() == b"ONE\nTWO\n"
