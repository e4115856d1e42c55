"""`Bridge`: one project's runtime, shared by every client of one server.

Below: a runtime, with its journal. Above: the tools, which wait here until it is open: the engine is imported and opened
behind the handshake, not before it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from stratum.contracts.errors import StratumError

if TYPE_CHECKING:
    from stratum.engine.providers.protocol import Provider
    from stratum.engine.runtime import Runtime

_log = logging.getLogger("stratum.mcp")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """What a server serves."""

    workspace: Path
    """The folder whose files steps may touch; absolute."""
    journal: Path
    model: str | None = None
    provider: Provider | None = None


class Bridge:
    """Opened by `open_bridge`."""

    def __init__(self, project: Project, *, closing: trio.Event) -> None:
        self.project = project
        self.closing = closing
        """Once it is set, a call that is cancelled is cancelled by us, not by its client."""
        self._opened = trio.Event()
        self._runtime: Runtime | None = None
        self._failure: BaseException | None = None

    async def runtime(self) -> Runtime:
        """The project's runtime, once it is open.

        Raises:
            StratumError: it could not be opened, or something has ended it since.
        """
        await self._opened.wait()
        if self._failure is not None:
            raise self._failure
        assert self._runtime is not None, "opened, and not failed"
        return self._runtime

    async def run(self) -> None:
        """Open the runtime and keep it open. What ends it is kept for those who ask: the agent is told why."""
        engine = await trio.to_thread.run_sync(import_module, "stratum.engine.runtime")
        project = self.project
        try:
            async with engine.open_runtime(
                provider=project.provider, model=project.model, journal=project.journal
            ) as self._runtime:
                self._opened.set()
                await trio.sleep_forever()
        except* StratumError as group:
            self._failure = _first(group)
            _log.error("%s", self._failure)
        finally:
            self._opened.set()


@asynccontextmanager
async def open_bridge(project: Project, *, closing: trio.Event) -> AsyncGenerator[Bridge]:
    """A bridge that opens its project in the background; leaving stops what runs there."""
    bridge = Bridge(project, closing=closing)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bridge.run)
        try:
            yield bridge
        finally:
            closing.set()
            nursery.cancel_scope.cancel(reason="the server is closing")


def _first(group: BaseExceptionGroup[StratumError]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
