"""`Bridge`: one project's runtime and plans, shared by every client of one server.

Below: a runtime, with its journal, and the plans that run in it. Above: the tools, which wait here until those are open:
the engine is imported and opened behind the handshake, not before it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from stratum.actors.read_only_journal import ReadOnlyJournal
from stratum.contracts.error_groups import leaves
from stratum.contracts.errors import JournalUnavailable, StratumError, UnknownRun
from stratum.contracts.plans.status import Assignment, PlanStatus
from stratum.mcp_bridge.run_view import fitting, in_plan_order
from stratum.mcp_bridge.spending import Spending

if TYPE_CHECKING:
    from stratum.engine.plans.approval.approvals import Approvals
    from stratum.engine.plans.case import Judge
    from stratum.engine.plans.functions import Functions
    from stratum.engine.plans.plan_history import PlanHistory
    from stratum.engine.plans.plans import Plans
    from stratum.engine.providers.protocol import Provider
    from stratum.engine.runtime import Runtime
    from stratum.engine.step import Step

_RESUMED_AT_MOST = 10_000
_log = logging.getLogger("stratum.mcp")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """What a server serves."""

    workspace: Path
    """The folder whose files steps may touch; absolute."""
    journal: Path
    model: str | None = None
    steps: Callable[[], Sequence[Step[Any, Any]]] = tuple
    """Imports the functions that plans may name; called once, in a thread."""
    modules: Sequence[str] = ()
    """Where those are, as files or modules: kept with a plan, for whoever goes on with it elsewhere."""
    provider: Provider | None = None
    approvals: Approvals | None = None
    judge: Judge | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A project that is open."""

    runtime: Runtime
    plans: Plans


class Bridge:
    """Made by `open_bridge`."""

    def __init__(self, project: Project, *, closing: trio.Event) -> None:
        self.project = project
        self._reading = ReadOnlyJournal(project.journal)
        self.closing = closing
        """Once it is set, a call that is cancelled is cancelled by us, not by its client."""
        self._ready = trio.Event()
        self._again = trio.Event()
        self._over = trio.Event()
        self._functions: Functions | None = None
        self._opened: Opened | None = None
        self._failure: BaseException | None = None
        self.spending = Spending()
        self._told: dict[str, frozenset[str]] = {}

    async def opened(self) -> Opened:
        """The project, once it is open. One that failed is opened anew for whoever asks: a full disk may have room again.

        Raises:
            StratumError: it cannot be opened.
        """
        if self._failure is not None:
            self._failure, self._ready = None, trio.Event()
            self._again.set()
        while not self._ready.is_set():  # or somebody else has it opened anew before we go on
            await self._ready.wait()
        if self._failure is not None:
            raise self._failure
        assert self._opened is not None, "opened, and not failed"
        try:
            self._opened.runtime.journal.refuse_if_dead()
        except JournalUnavailable:
            await self._over.wait()  # its runs are being stopped, and would still be said to run
            raise
        return self._opened

    async def plans(self) -> Plans:
        """The project's plans. Raises as `opened`."""
        return (await self.opened()).plans

    async def reading(self, error: JournalUnavailable) -> ReadOnlyJournal:
        """The journal, for whoever only reads, though for `error` it takes no record; raises that where it cannot be read either."""
        try:
            await self._reading.runs(limit=1)
        except JournalUnavailable:
            raise error from None
        return self._reading

    async def recorded(self, run: str, error: JournalUnavailable) -> PlanHistory:
        """What the records say of a plan, though for `error` there will be no more. Raises as `Plans.status`, and that."""
        module = await trio.to_thread.run_sync(import_module, "stratum.engine.plans.plan_history")
        past: PlanHistory = module.PlanHistory(await (await self.reading(error)).read(run))
        if past.proposed is None:
            raise UnknownRun(run=run, problem="it is a flow's, not a plan's")
        return past

    def told(self, meta: object, status: PlanStatus, *, again: bool = False) -> tuple[PlanStatus, Sequence[Assignment]]:
        """What the answer to the call with `meta` tells an agent to do in full, `again` or because it is new; as much as is read at once.

        And `status` without what it has not been told of yet: that comes with one of the next answers.
        """
        known = self.known(status.run)
        shown = fitting(
            [each for each in in_plan_order(status, status.assignments) if again or each.ticket not in known]
        )
        now = known | {each.ticket for each in shown}
        told = tuple(each for each in status.assignments if each.ticket in now)
        self._told[status.run] = frozenset(each.ticket for each in told)
        self.spending.handed(meta, (each.ticket for each in told))
        return msgspec.structs.replace(status, assignments=told), shown

    def known(self, run: str) -> frozenset[str]:
        """The tickets that agents were told of last."""
        return self._told.get(run, frozenset())

    async def run(self) -> None:
        """Keep the project open; once something has ended it, open it anew for whoever asks."""
        with closing(self._reading):
            while True:
                await self._keep_open()
                await self._again.wait()
                self._again = trio.Event()

    async def _keep_open(self) -> None:
        """Open the project, go on with the plans whose process is gone, and keep it open.

        What ends it is kept for those who wait: the agent is told why.
        """
        self._over = trio.Event()
        try:
            async with _open(self.project, await self.functions()) as opened:
                self._opened = opened
                await self._reading.runs(limit=1)  # it holds the file open from now on
                await _go_on(opened)
                self._ready.set()
                try:
                    await trio.sleep_forever()
                finally:
                    if self.closing.is_set():
                        self._reading.close()  # whoever lets go last tidies up, and this one cannot write
        except* StratumError as group:
            self._failure = next(leaves(group))
            _log.error("%s", self._failure)
        finally:
            self._ready.set()
            self._over.set()

    async def functions(self) -> Functions:
        """The functions that plans may name: imported once, as the contracts they are of are known by their types."""
        if self._functions is None:
            module = await trio.to_thread.run_sync(import_module, "stratum.engine.plans.functions")
            self._functions = module.Functions(await trio.to_thread.run_sync(self.project.steps))
        return self._functions


@asynccontextmanager
async def open_bridge(project: Project, *, closing: trio.Event) -> AsyncGenerator[Bridge]:
    """A bridge that opens its project in the background; leaving stops the runs, each to be gone on with later."""
    bridge = Bridge(project, closing=closing)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bridge.run)
        try:
            yield bridge
        finally:
            closing.set()
            nursery.cancel_scope.cancel(reason="the server is closing")


@asynccontextmanager
async def _open(project: Project, functions: Functions) -> AsyncGenerator[Opened]:
    # Half a second of CPU, off the loop: tools are listed meanwhile.
    provider_or_absent, read_settings = await trio.to_thread.run_sync(_import_providers)
    engine = await trio.to_thread.run_sync(import_module, "stratum.engine.runtime")
    plans = await trio.to_thread.run_sync(import_module, "stratum.engine.plans.plans")
    provider = project.provider or provider_or_absent(read_settings().environ)
    async with (
        engine.open_runtime(provider=provider, model=project.model, journal=project.journal) as runtime,
        plans.open_plans(
            runtime,
            functions=functions,
            workspace=project.workspace,
            approvals=project.approvals,
            judge=project.judge,
        ) as opened,
    ):
        yield Opened(runtime=runtime, plans=opened)


def _import_providers() -> tuple[Any, Any]:
    from stratum.engine.providers.environment import provider_or_absent
    from stratum.engine.settings import read_settings

    return provider_or_absent, read_settings


async def _go_on(opened: Opened) -> None:
    """Start what a killed server left; what another process runs, or what cannot go on, is left as it is."""
    for run in await opened.runtime.journal.runs(limit=_RESUMED_AT_MOST):
        if run.target == "plan" and run.state == "interrupted":
            try:
                await opened.plans.start(run.run)
            except StratumError as error:
                _log.warning("%s is not gone on with: %s", run.run, error)
