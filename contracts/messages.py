"""What one process asks of a run that another one owns: left in the journal's inbox, read by the owner."""

from __future__ import annotations

from typing import Literal

import msgspec


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="message"):
    by: str
    """Who asks."""


class CancelRun(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="cancel"):
    """Stop the run; it can be gone on with."""

    reason: str = ""

    @property
    def told(self) -> str:
        """Why, for whoever is stopped."""
        return self.reason or f"{self.by} cancelled it"


class AnswerGate(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="answer"):
    """A person's decision at a gate."""

    step: str
    decision: Literal["approve", "revise", "kill"]
    comment: str = ""


class AnswerReview(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="review"):
    """A person's answer to a question that a flow asks."""

    step: str
    value: str
    """As a person types it."""
    rationale: str = ""


class RaiseLimits(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="raise"):
    """New limits for the run, what it has used included."""

    limits: dict[str, int]
    """Of `usd` (picodollars), `tokens`, `ms`."""


Message = CancelRun | AnswerGate | AnswerReview | RaiseLimits
