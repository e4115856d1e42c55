"""What every framework is asked for whose retries are measured, and what it is told of an answer that does not do."""

from __future__ import annotations

from typing import Annotated

from peer import TASK
from pydantic import BaseModel, Field

INSTRUCTIONS: str = TASK["instructions"]
TEXT: str = TASK["text"]


class Rating(BaseModel):
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]


def too_low(confidence: float) -> str:
    """What is wrong with it; empty where nothing is."""
    return "" if confidence > 0.75 else f"confidence is {confidence}, which must be above 0.75"
