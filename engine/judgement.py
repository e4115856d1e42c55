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


def unusable(completion: Completion, *, said: str) -> Violation:
    """Why an answer that calls no tool of ours cannot be used, in words that help the model do better; `said`: all of it."""
    condition = {
        "called": f"no such tool: {completion.tool}",
        "no_call": "no tool call",
        "refused": "no tool call: refused",
        "truncated": "the answer was cut off at the output limit; answer more briefly",
        "filtered": "no tool call: stopped by the content filter",
    }[completion.status]
    detail = completion.text
    if completion.status == "truncated":
        # How far it came, and not what it says: the model is shown its beginning, and nobody wants to read it twice.
        length = "1 character" if len(said) == 1 else f"{len(said):,} characters"
        detail = f"cut off after {length}" if said else "cut off before it began"
    return Violation(kind="answer", condition=condition, detail=detail)
