"""The least that a service does which asks a model: FastAPI, httpx2, and nothing checked, bounded or recorded."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from fastapi import FastAPI, Request
from pydantic import BaseModel


class Message(BaseModel):
    text: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
    async with httpx2.AsyncClient(base_url=os.environ["STRATUM_BASE_URL"], limits=limits, timeout=600) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/messages")
async def message(request: Request, message: Message) -> dict[str, Any]:
    tool = {
        "type": "function",
        "function": {
            "name": "sort",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"queue": {"type": "string"}, "reason": {"type": "string"}},
                "required": ["queue", "reason"],
                "additionalProperties": False,
            },
        },
    }
    answer = await request.app.state.client.post(
        "/chat/completions",
        headers={"authorization": "Bearer key"},
        json={
            "model": "house",
            "messages": [
                {"role": "system", "content": "Decide which queue this message belongs to"},
                {"role": "user", "content": f"message: {message.text}"},
            ],
            "tools": [tool],
            "tool_choice": {"type": "function", "function": {"name": "sort"}},
            "max_completion_tokens": 100,
        },
    )
    found: dict[str, Any] = json.loads(answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])
    return found
