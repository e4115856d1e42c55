"""Stratum inside asyncio programs: a runtime in a trio thread of its own, shared by all requests.

    from stratum import aio

    async with aio.open_runtime() as rt:
        await rt.run(flow, argument)

Cancelling the asyncio task stops the flow and waits for it; exceptions arrive as they are; context variables go in and come back.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import trio

from stratum.contracts.errors import NoRuntime
from stratum.engine import runtime as trio_side
from stratum.engine.trio_thread import TrioThread, in_asyncio, open_trio_thread

if TYPE_CHECKING:
    from stratum.actors.event_hub import EventHub
    from stratum.actors.rate_limiter import RateLimit
    from stratum.contracts.allowance import Allowance
    from stratum.contracts.budget import Budget
    from stratum.contracts.price import Price
    from stratum.engine.flow import Flow
    from stratum.engine.flow_call import Raised
    from stratum.engine.people.review import Sink
    from stratum.engine.pricing.service_tier import ServiceTier
    from stratum.engine.providers.protocol import Provider
    from stratum.engine.tenant import Tenant as TrioTenant
    from stratum.engine.workplace import Workers

__all__ = ["Runtime", "Tenant", "in_asyncio", "open_runtime", "while_connected"]

P = ParamSpec("P")
R = TypeVar("R")


class Runtime:
    """A runtime as asyncio tasks see it. Open one with `open_runtime`; any task of that loop may use it."""

    def __init__(self, thread: TrioThread[trio_side.Runtime], runtime: trio_side.Runtime) -> None:
        self._thread = thread
        self._runtime = runtime

    @property
    def session(self) -> str:
        """The id of this session's own run."""
        return self._runtime.session

    @property
    def provider_name(self) -> str:
        """Who answers."""
        return self._runtime.provider_name

    @property
    def events(self) -> EventHub:
        """For `listen`, which any thread may call; its listeners are called in the runtime's thread."""
        return self._runtime.events

    async def run(self, step: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a flow, a step or any async function of trio in this runtime.

        Raises:
            BudgetExceeded: also when it is the session's own budget that ran out.
            RunError: the runtime was closed in the meantime; or this is trio, as a flow is, which awaits its steps themselves.
        """
        return await self._thread.call(lambda: self._runtime.run(step, *args, **kwargs))

    async def resume(self, flow: Flow[..., R], run_id: str, *, raised: Raised = None, by: str = "") -> R:
        """Go on with a run of `flow` that ended or was killed, as `stratum.Runtime.resume` does."""
        return await self._thread.call(partial(self._runtime.resume, flow, run_id, raised=raised, by=by))

    async def ready(self) -> None:
        """Wait for a provider that has to start something: without, the first call of a model waits for it."""
        await self._thread.call(self._runtime.ready)

    async def tenant(self, name: str, *, budget: Budget | None = None) -> Tenant:
        """The tenant of this name, with `budget` for all it does while this runtime is open; made when first asked for."""

        async def found() -> TrioTenant:
            return self._runtime.tenant(name, budget=budget)

        return Tenant(self._thread, await self._thread.call(found))


class Tenant:
    """One customer's share of a runtime: what runs here draws from its budget and from the session's."""

    def __init__(self, thread: TrioThread[trio_side.Runtime], tenant: TrioTenant) -> None:
        self._thread = thread
        self._tenant = tenant

    @property
    def name(self) -> str:
        return self._tenant.name

    @property
    def spent_usd(self) -> float:
        """What its calls count for so far: settled, in doubt, and reserved for those in flight."""
        return self._tenant.spent_usd

    async def run(self, step: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `step` for this tenant; raises as `Runtime.run` does."""
        return await self._thread.call(lambda: self._tenant.run(step, *args, **kwargs))


@asynccontextmanager
async def open_runtime(
    *,
    provider: Provider | None = None,
    model: str | None = None,
    budget: Budget | None = None,
    allowance: Allowance | None = None,
    service_tier: ServiceTier | None = None,
    journal: str | os.PathLike[str] | None = "",
    prices: Mapping[str, Price] | None = None,
    rate_limits: Mapping[str, RateLimit] | None = None,
    transport_retries: int = trio_side.DEFAULT_TRANSPORT_RETRIES,
    request_timeout_s: float = 600.0,
    jitter: Callable[[], float] = random.random,
    sample_n: int = 1,
    sinks: Sequence[Sink] | None = None,
    cluster: Workers | None = None,
) -> AsyncGenerator[Runtime]:
    """Open a session in a trio thread of its own; the arguments are those of `stratum.open_runtime`. `sinks` are asked in that thread.

    Leaving the block stops what still runs in it, and waits. A session that ends by itself, because its own budget ran
    out or its journal failed, cancels the block, which then raises what ended it.

    Raises:
        BudgetExceeded: on leaving, when the session's own budget ran out.
        JournalError: as `stratum.open_runtime` does.
        NoRuntime: entered under trio.
    """
    if trio.lowlevel.in_trio_task():
        raise NoRuntime(function="stratum.aio.open_runtime()", fix="this is trio: open it with stratum.open_runtime()")
    held = partial(
        trio_side.open_runtime,
        provider=provider,
        model=model,
        budget=budget,
        allowance=allowance,
        service_tier=service_tier,
        journal=journal,
        prices=prices,
        rate_limits=rate_limits,
        transport_retries=transport_retries,
        request_timeout_s=request_timeout_s,
        jitter=jitter,
        sample_n=sample_n,
        sinks=sinks,
        cluster=cluster,
    )
    async with open_trio_thread(held, name="stratum runtime") as (thread, runtime):
        yield Runtime(thread, runtime)


async def while_connected(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], work: Coroutine[Any, Any, R]
) -> R:
    """Await `work`, and cancel it when the client of an ASGI request hangs up; the request's body must have been read.

    `receive` is ASGI's (`request.receive` in FastAPI and Starlette). Servers do not cancel a handler whose client has gone.

    Raises:
        asyncio.CancelledError: the client has gone; there is nobody to answer.
        NoRuntime: called under trio, where a `trio.CancelScope` does this.
    """
    if trio.lowlevel.in_trio_task():
        work.close()
        raise NoRuntime(
            function="stratum.aio.while_connected()",
            fix="this is trio: await the work in a trio.CancelScope, and cancel that when `receive` gives an http.disconnect",
        )
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel("the client hung up")
        return await task
    finally:
        # Both end here, also when this task is the one that is cancelled.
        gone.cancel()
        task.cancel()
        await asyncio.wait({task, gone})


async def _disconnected(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
