"""The same wire for trio: a descriptor is used when it is ready.

No thread stands between: to go through one and back costs more than a message does, and nothing could wake it. Nor are the
descriptors made non-blocking, which whoever else has them would notice.
"""

from __future__ import annotations

import os
import select
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from stratum.mcp_bridge.wire import MAX_LINE, TOO_LONG, Wire, arrived


class TrioWire:
    """Goes on where `wire` stopped."""

    def __init__(self, wire: Wire) -> None:
        self._source = wire.source
        self._sink = wire.sink
        self._lines = wire.lines
        self._sending = trio.StrictFIFOLock()

    async def receive_line(self) -> bytes | None:
        """The next line that is not too long; `None` at the end of input."""
        while (line := self._lines.take()) is None or len(line) > MAX_LINE:
            if line is not None:
                with suppress(BrokenPipeError):  # as in `Wire`
                    await self.send(TOO_LONG)
                continue
            await _until_ready(self._source, select.POLLIN, trio.lowlevel.wait_readable)
            if not self._lines.add(arrived(self._source)):
                return None
        return line

    async def send(self, text: bytes) -> None:
        """All of it, and one text after the other, whoever sends.

        Raises:
            BrokenPipeError: the client is gone.
        """
        rest = memoryview(text)
        async with self._sending:
            while rest:
                await _until_ready(self._sink, select.POLLOUT, trio.lowlevel.wait_writable)
                rest = rest[os.write(self._sink, rest[: select.PIPE_BUF]) :]  # no more: a pipe that is ready takes that


async def _until_ready(descriptor: int, for_what: int, wait: Callable[[int], Awaitable[None]]) -> None:
    """Or at its end; a file, which trio cannot wait for, always is. A checkpoint: a client may send a line that never ends."""
    poll = select.poll()
    poll.register(descriptor, for_what)
    if poll.poll(0):
        await trio.lowlevel.checkpoint()
    else:
        await wait(descriptor)
