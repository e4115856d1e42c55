"""Which event loop, if any, is running in this thread."""

from __future__ import annotations

import sys

import trio

from stratum.contracts.errors import NoRuntime
from stratum.engine.place import current_place


def refuse_inside_loop(what: str) -> None:
    """Raise where blocking would stop an event loop."""
    if trio.lowlevel.in_trio_run() or _in_asyncio():
        raise RuntimeError(f"{what} would block the running event loop; await the step instead")
    # A worker thread inherits where it was called from; what it spends in a loop of its own would escape that budget.
    if current_place.get() is not None:
        raise RuntimeError(f"{what} in a thread of a running step; make that step an async def and await this one")


def refuse_outside_trio(function: str) -> None:
    """Raise `NoRuntime` under asyncio, whose tasks trio's primitives cannot run in."""
    if not trio.lowlevel.in_trio_task():
        raise NoRuntime(function=function)


def _in_asyncio() -> bool:
    asyncio = sys.modules.get("asyncio")  # not imported: then no loop can be running
    if asyncio is None:
        return False
    return asyncio._get_running_loop() is not None
