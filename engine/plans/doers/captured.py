"""`Captured`: the output of a program, of which the beginning and the end are kept, however much it writes."""

from __future__ import annotations

from collections import deque

_CONTINUATION = range(0x80, 0xC0)


class Captured:
    """Bytes in, one text out."""

    def __init__(self, limit_bytes: int) -> None:
        self.seen_bytes = 0
        """All that was written."""
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._half = limit_bytes // 2

    def add(self, chunk: bytes) -> None:
        self.seen_bytes += len(chunk)
        room = self._half - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if chunk:
            self._tail.append(chunk[-self._half :])
            self._tail_bytes += len(self._tail[-1])
            while self._tail_bytes - len(self._tail[0]) >= self._half:
                self._tail_bytes -= len(self._tail.popleft())

    @property
    def truncated(self) -> bool:
        return self.seen_bytes > 2 * self._half

    def text(self) -> str:
        """As UTF-8, with what is not replaced; where it is too long, what was left out is counted instead."""
        if not self.truncated:
            return (bytes(self._head) + b"".join(self._tail)).decode(errors="replace")
        head, tail = bytes(self._head), b"".join(self._tail)[-self._half :]
        while head and (head[-1] in _CONTINUATION or head[-1] >= 0xC0):
            # The character that was cut, or one that was not: at most four bytes more or less.
            last = head[-1]
            head = head[:-1]
            if last >= 0xC0:
                break
        start = next((at for at, byte in enumerate(tail[:4]) if byte not in _CONTINUATION), 0)
        left_out = self.seen_bytes - len(head) - len(tail) + start
        return (
            f"{head.decode(errors='replace')}\n… {left_out:,} bytes left out …\n{tail[start:].decode(errors='replace')}"
        )


def shortened(text: str, limit: int) -> str:
    """`text`, cut in the middle where it has more characters than `limit`."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
