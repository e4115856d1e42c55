"""The same service without asyncio: Starlette under hypercorn's trio worker, and nothing between it and the engine.

    python examples/service_trio.py 127.0.0.1:8000

A client that hangs up stops its flow. On SIGTERM hypercorn takes no new requests, those under way finish, and then the runtime closes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType] - its WSGI half has no types
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stratum import Budget, BudgetExceeded, CallFailed, Runtime, Tenant, contract, flow, infer, open_runtime

PER_CUSTOMER = Budget(usd=float(os.environ.get("USD_PER_CUSTOMER", "5")))


@contract
class Sorted:
    queue: Literal["billing", "technical", "other"]
    reason: str


@infer(intent="Decide which queue this message belongs to", max_output_tokens=100)
def sort(message: str) -> Sorted: ...


@flow(budget=Budget(usd=0.02, ms=30_000))
async def handle(message: str) -> Sorted:
    return await sort(message)


async def message(request: Request) -> Response:
    text = (await request.json())["text"]
    runtime: Runtime = request.app.state.runtime
    customer = runtime.tenant(request.headers["x-customer"], budget=PER_CUSTOMER)
    async with while_connected(request):
        return await answered(customer, text)
    return Response(status_code=499)  # nobody is there to read it


async def answered(customer: Tenant, text: str) -> Response:
    """What can be expected to fail is caught here: what leaves the nursery around it comes as an `ExceptionGroup`."""
    try:
        found = await customer.run(handle, text)
    except BudgetExceeded as error:
        return JSONResponse({"error": str(error)}, status_code=402 if error.step.startswith("tenant ") else 503)
    except CallFailed:
        return JSONResponse({"error": "the model gave no answer that holds"}, status_code=502)
    return JSONResponse({"queue": found.queue, "reason": found.reason, "customer_usd": customer.spent_usd})


@asynccontextmanager
async def while_connected(request: Request) -> AsyncGenerator[None]:
    """Cancels the block when the client hangs up."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                scope.cancel(reason="the client hung up")

            nursery.start_soon(watch)
            yield
            nursery.cancel_scope.cancel()


async def main(address: str) -> None:
    config = Config()
    config.bind = [address]
    config.graceful_timeout = 60
    app = Starlette(routes=[Route("/messages", message, methods=["POST"])])
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with open_runtime() as runtime:
            app.state.runtime = runtime

            async def told_to_stop() -> None:
                await anext(aiter(signals))

            await serve(cast("Any", app), config, shutdown_trigger=told_to_stop)


if __name__ == "__main__":
    trio.run(main, sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000")
