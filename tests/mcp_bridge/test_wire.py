from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from stratum.mcp_bridge.wire import MAX_LINE, Wire


def piped(sent: bytes) -> tuple[Wire, int]:
    """A wire on which `sent` has arrived and nothing more will; and where what it writes can be read."""
    source, arriving = os.pipe()
    replies, sink = os.pipe()

    def send() -> None:
        with open(arriving, "wb") as pipe:
            pipe.write(sent)

    threading.Thread(target=send).start()
    return Wire(source, sink), replies


def test_lines_come_one_at_a_time_and_then_the_end() -> None:
    wire, _ = piped(b'{"a": 1}\n\n{"b": 2}\n')

    assert [wire.read_line() for _ in range(4)] == [b'{"a": 1}', b"", b'{"b": 2}', None]


def test_a_line_without_its_end_is_no_message() -> None:
    wire, _ = piped(b'{"whole": 1}\n{"half":')

    assert [wire.read_line(), wire.read_line()] == [b'{"whole": 1}', None]


def test_a_line_that_is_too_long_is_refused_and_the_next_one_read() -> None:
    wire, replies = piped(b"x" * (MAX_LINE + 2) + b"\n" + b"next\n")

    assert wire.read_line() == b"next"
    assert b'"id":null' in os.read(replies, 1000)


def test_a_line_that_is_too_long_for_who_hears_nothing_is_passed_over() -> None:
    wire, replies = piped(b"x" * (MAX_LINE + 2) + b"\n" + b"next\n")
    os.close(replies)

    assert wire.read_line() == b"next"


def test_a_long_line_that_is_not_too_long_comes_whole() -> None:
    wire, _ = piped(b"x" * 5_000_000 + b"\n")

    assert wire.read_line() == b"x" * 5_000_000


def test_what_a_pipe_does_not_take_at_once_is_written_after() -> None:
    wire, replies = piped(b"")
    read: list[bytes] = []

    def drain() -> None:
        while sum(map(len, read)) < 1_000_000:
            read.append(os.read(replies, 1000))

    thread = threading.Thread(target=drain)
    thread.start()
    wire.write(b"y" * 1_000_000)
    thread.join()

    assert b"".join(read) == b"y" * 1_000_000


def test_a_reader_that_is_gone_is_told_as_such() -> None:
    wire, replies = piped(b"")
    os.close(replies)

    with pytest.raises(BrokenPipeError):
        wire.write(b"{}\n")


def test_what_the_process_prints_does_not_reach_the_client() -> None:
    program = """
import os, subprocess, sys
from stratum.mcp_bridge.wire import claim_stdio
wire = claim_stdio()
print("printed", flush=True)
subprocess.run([sys.executable, "-c", "print('by a child', repr(input() if False else __import__('sys').stdin.read()))"])
wire.write(wire.read_line() + b"\\n")
"""
    done = subprocess.run([sys.executable, "-c", program], input=b"hello\n", capture_output=True, check=True)

    assert done.stdout == b"hello\n"
    assert done.stderr == b"printed\nby a child ''\n"
