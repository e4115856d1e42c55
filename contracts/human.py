"""`HumanDecision[T]`: what a person decided, and how an answer to a question is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from stratum.contracts.contract import contract

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanDecision(Generic[T]):
    """A person's answer to a question, and who gave it, why and when."""

    value: T
    reviewer: str
    """Who; `auto` where nobody was in time and the question had a fallback."""
    rationale: str
    """Why, if they said so; `timeout` for a fallback."""
    decided_at: datetime
    """UTC."""
    review_id: str


@contract
class RecordedDecision:
    """The same as the journal keeps it."""

    value: str
    """As JSON."""
    reviewer: str
    rationale: str
    decided_at: datetime
    review_id: str
