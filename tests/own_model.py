"""`open_llama`: an embedded model for one block of a test, whatever other models this process keeps."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from stratum.engine.local.server import CONTEXT_TOKENS, SLOTS, Endpoint, LocalModel


@asynccontextmanager
async def open_llama(
    weights: Path, *, slots: int = SLOTS, context_tokens: int = CONTEXT_TOKENS
) -> AsyncGenerator[Endpoint]:
    """Ready on entering, gone on leaving, however it is left."""
    model = LocalModel(weights, slots=slots, context_tokens=context_tokens)
    try:
        yield await model.endpoint()
    finally:
        model.close()
