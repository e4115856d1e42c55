"""Standard input and output as the client's line-by-line JSON, out of reach of whatever else this process prints."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Final

MAX_LINE: Final = 32 * 2**20
"""Bytes of one message: a plan of 100,000 steps fits."""
_CHUNK: Final = 2**16
_TOO_LONG: Final = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"the message is longer than 32 MiB; send less at once"}}\n'


class Wire:
    """Two file descriptors; every method blocks its thread."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._buffer = bytearray()
        self._writing = threading.Lock()

    def read_line(self) -> bytes | None:
        """The next line that is not too long; `None` at the end of input."""
        line = self._line()
        while line is not None and len(line) > MAX_LINE:
            with suppress(BrokenPipeError):  # whoever hears no more may still have something to say
                self.write(_TOO_LONG)
            line = self._line()
        return line

    def write(self, text: bytes) -> None:
        """All of it, though a pipe takes only some at once.

        Raises:
            BrokenPipeError: the client is gone.
        """
        rest = memoryview(text)
        # One at a time: the thread that reads writes too, to refuse a line, and a pipe takes a long message in parts.
        with self._writing:
            while rest:
                rest = rest[os.write(self._sink, rest) :]

    def _line(self) -> bytes | None:
        """A line; of one that is too long only so much that this can be told."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            if len(self._buffer) > MAX_LINE:
                del self._buffer[MAX_LINE + 1 :]
            searched = len(self._buffer)
            chunk = os.read(self._source, _CHUNK)
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
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
