"""Codex in a terminal, as a person sees it: a pseudo-terminal whose screen is read and whose keys are pressed."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyte
import trio
from tests.e2e.codex import CodexHome

ROWS, COLUMNS = 60, 140
_KEYS = {"enter": b"\r", "escape": b"\x1b", "down": b"\x1b[B"}
_ANSWERS = {
    b"\x1b[c": b"\x1b[?62;c",
    b"]10;?": b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
    b"]11;?": b"\x1b]11;rgb:0000/0000/0000\x1b\\",
}
"""What a terminal is asked, and what this one says: a VT220, white on black."""
_PRAISE = "Use existing model"
"""On the page that praises another model than the one in use."""
_READY = " default · "
"""The model's effort, below the prompt. The prompt itself is drawn before Codex knows whether it has a model to praise."""
_WHERE = b"\x1b[6n"
"""Asks where the cursor is."""


@dataclass(kw_only=True)
class Terminal:
    """What is on the screen."""

    master: trio.lowlevel.FdStream
    screen: Any = field(default_factory=lambda: pyte.Screen(COLUMNS, ROWS))

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display if line.strip())

    async def shows(self, *texts: str, timeout_s: float = 120) -> str:
        """The screen, once it shows one of these."""
        with trio.move_on_after(timeout_s):
            while not any(text in self.text for text in texts):
                await trio.sleep(0.05)
        assert any(text in self.text for text in texts), self.text
        return self.text

    async def press(self, *keys: str) -> None:
        """Keys by name, or texts."""
        for key in keys:
            await self.master.send_all(_KEYS.get(key, key.encode()))
            await trio.sleep(0.3)  # what comes faster is taken for pasted text

    async def draw(self) -> None:
        stream = pyte.ByteStream(self.screen)
        begun = b""
        while True:
            try:
                drawn = await self.master.receive_some(65536)
            except trio.BrokenResourceError:
                return
            if not drawn:
                return
            stream.feed(drawn)
            drawn = begun + drawn
            for asked, answer in _ANSWERS.items():
                if asked in drawn:
                    await self.master.send_all(answer)
            if _WHERE in drawn:
                cursor = self.screen.cursor
                await self.master.send_all(f"\x1b[{cursor.y + 1};{cursor.x + 1}R".encode())
            begun = _begun(drawn)


def _begun(drawn: bytes) -> bytes:
    """The part of a question with which it ends: the rest comes with the next read."""
    parts = [asked[:length] for asked in (*_ANSWERS, _WHERE) for length in range(1, len(asked))]
    return max(filter(drawn.endswith, parts), key=len, default=b"")


@asynccontextmanager
async def open_terminal(home: CodexHome, workdir: Path) -> AsyncGenerator[Terminal]:
    """Codex, started and waiting for a task."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    start = partial(
        trio.run_process,
        [str(home.binary), "--no-alt-screen", "--no-daemon"],
        cwd=workdir,
        env=home.env | {"TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        check=False,
    )
    # The stream is closed last: to close it in a scope that is cancelled would hide what a test found.
    async with trio.lowlevel.FdStream(master) as stream, trio.open_nursery() as nursery:
        codex: trio.Process = await nursery.start(start)
        os.close(slave)
        terminal = Terminal(master=stream)
        nursery.start_soon(terminal.draw)
        try:
            if _PRAISE in await terminal.shows(_PRAISE, _READY):
                await terminal.press("down", "enter")
                await terminal.shows(_READY)
            yield terminal
        finally:
            codex.terminate()
            with trio.move_on_after(10, shield=True):
                await codex.wait()
            nursery.cancel_scope.cancel()
