"""A FastAPI service: every request is a flow of one shared runtime, and every customer has a budget.

    uvicorn --app-dir examples service_fastapi:app

A client that hangs up stops its flow. On SIGTERM uvicorn takes no new requests, those under way finish, and then the runtime closes.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from stratum import Budget, BudgetExceeded, CallFailed, aio, contract, flow, infer

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


class Message(BaseModel):
    text: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with aio.open_runtime() as runtime:
        app.state.runtime = runtime
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/messages")
async def message(request: Request, message: Message, x_customer: Annotated[str, Header()]) -> dict[str, Any]:
    customer = await request.app.state.runtime.tenant(x_customer, budget=PER_CUSTOMER)
    found = await aio.while_connected(request.receive, customer.run(handle, message.text))
    return {"queue": found.queue, "reason": found.reason, "customer_usd": customer.spent_usd}


@app.exception_handler(BudgetExceeded)
async def over_budget(request: Request, error: BudgetExceeded) -> JSONResponse:
    """402 where the customer's own budget is used up, 503 where this one request was too dear or too slow."""
    return JSONResponse({"error": str(error)}, status_code=402 if error.step.startswith("tenant ") else 503)


@app.exception_handler(CallFailed)
async def no_good_answer(request: Request, error: CallFailed) -> JSONResponse:
    return JSONResponse({"error": "the model gave no answer that holds"}, status_code=502)
