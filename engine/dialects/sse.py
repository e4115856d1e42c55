"""Server-sent events out of the bytes of a stream (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator

_line_end = re.compile(rb"\r\n|\n|\r")


class EventParser:
    """Feed it chunks cut anywhere; it gives each complete event's data. An event the stream breaks off in is dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._lines: list[bytes] = []
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for line in self._complete_lines(chunk):
            if line:
                self._take(line)
            elif self._lines:
                yield b"\n".join(self._lines)
                self._lines.clear()

    def _complete_lines(self, chunk: bytes) -> list[bytes]:
        buffer = self._buffer
        buffer += chunk
        # A carriage return that ends the chunk may be half of a line end.
        whole = len(buffer) - buffer.endswith(b"\r")
        lines: list[bytes] = []
        start = 0
        for end in _line_end.finditer(buffer, self._scanned, whole):
            # `\r` is looked for up to `whole` only, so `\r\n` at its border still counts as one end.
            lines.append(bytes(buffer[start : end.start()]))
            start = end.end()
        del buffer[:start]
        self._scanned = whole - start
        return lines

    def _take(self, line: bytes) -> None:
        if self._first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        name, _, value = line.partition(b":")
        if name == b"data":
            self._lines.append(value.removeprefix(b" "))
