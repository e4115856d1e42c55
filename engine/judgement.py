"""`Judgement`: what one answer of a model is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from stratum.contracts.violation import Violation
from stratum.engine.dialects.protocol import Completion

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement(Generic[R]):
    """What one answer is worth."""

    completion: Completion
    violations: tuple[Violation, ...]
    raw: str
    """What the model sent: the tool's arguments, or what it said instead."""
    parsed: bool = False
    answer: R | None = None
    """Fits the contract; present where `parsed`."""

    @property
    def accepted(self) -> bool:
        return self.parsed and not self.violations

    @property
    def value(self) -> R:
        return cast(R, self.answer)
