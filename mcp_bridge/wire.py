"""Standard input and output as the client's line-by-line JSON, out of reach of whatever else this process prints."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

MAX_LINE: Final = 32 * 2**20
"""Bytes of one message: a plan of 100,000 steps fits."""
_CHUNK: Final = 2**16
TOO_LONG: Final = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"the message is longer than 32 MiB; send less at once"}}\n'


class Wire:
    """Two file descriptors; every method blocks. For the time before trio runs, which has `TrioWire`."""

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink
        self.lines = Lines()

    def read_line(self) -> bytes | None:
        """The next line that is not too long; `None` at the end of input."""
        while (line := self.lines.take()) is None or len(line) > MAX_LINE:
            if line is not None:
                with suppress(BrokenPipeError):  # whoever hears no more may still have something to say
                    self.write(TOO_LONG)
            elif not self.lines.add(arrived(self.source)):
                return None
        return line

    def write(self, text: bytes) -> None:
        """All of it, though a pipe takes only some at once.

        Raises:
            BrokenPipeError: the client is gone.
        """
        rest = memoryview(text)
        while rest:
            rest = rest[os.write(self.sink, rest) :]


def arrived(source: int) -> bytes:
    """What is there to read; empty at the end. Blocks until there is something."""
    try:
        return os.read(source, _CHUNK)
    except ConnectionResetError:  # a socket, as Node's clients use, whose other end left before it had read everything
        return b""


class Lines:
    """What has arrived, by the line."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def add(self, chunk: bytes) -> bool:
        """False at the end of input."""
        self._buffer += chunk
        return bool(chunk)

    def take(self) -> bytes | None:
        """The first line that is complete; of one that is too long only so much that this can be told."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            del self._buffer[MAX_LINE + 1 :]
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line


def claim_stdio() -> Wire:
    """Take standard input and output for the client alone.

    What steps and their programs print goes to standard error from now on, and they read an empty input.
    """
    wire = Wire(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return wire
