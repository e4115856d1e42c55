"""What a block leaves behind."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio


@dataclass(frozen=True)
class Held:
    tasks: int
    sockets: int
    busy_threads: int


@asynccontextmanager
async def nothing_left() -> AsyncGenerator[None]:
    """Fails unless the block ends with the tasks, sockets and busy threads it began with."""
    before = held()
    yield
    with trio.move_on_after(60):
        while held() != before:
            await trio.sleep(0.005)
    assert held() == before


def held() -> Held:
    """Idle worker threads, which trio keeps for 10 s, do not count."""
    return Held(
        tasks=trio.lowlevel.current_statistics().tasks_living,
        sockets=held_sockets(),
        busy_threads=int(trio.to_thread.current_default_thread_limiter().borrowed_tokens),
    )


def held_sockets() -> int:
    count = 0
    for name in os.listdir("/dev/fd"):
        try:
            count += stat.S_ISSOCK(os.fstat(int(name)).st_mode)
        except OSError:
            # The descriptor that listed the folder is closed by now.
            continue
    return count
