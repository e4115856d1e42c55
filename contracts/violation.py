"""`Violation`: one reason an answer was rejected, and the three ways it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

MAX_TEXT = 500
"""Characters of quoted model or tool output that a violation may carry: it is material from outside."""

MAX_VIOLATIONS = 20
"""Of one value, by its contract or by one condition, that are listed: an answer can have a hundred thousand mismatches, and a
linter as much to say of it."""

ViolationKind = Literal["ensure", "given", "schema", "answer", "worker"]
"""`ensure`: a postcondition; `given`: a precondition; `schema`: the contract; `answer`: no usable tool call at all; `worker`: a
step's process was lost."""


class Violation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One condition that an answer did not meet."""

    kind: ViolationKind
    condition: str
    """What should have held: `r.confidence > 0.75`, or `confidence: expected number <= 1`."""
    detail: str = ""
    """What was seen instead: `actual: 0.42`, or what the postcondition said."""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "condition", one_line(self.condition))
        msgspec.structs.force_setattr(self, "detail", one_line(self.detail))

    @property
    def for_prompt(self) -> str:
        """`ensure: r.confidence > 0.75 (actual: 0.42)`; a schema violation reads `schema: PATH: expected E, got G`."""
        if self.kind == "schema":
            return f"schema: {self.condition}, {self.detail}" if self.detail else f"schema: {self.condition}"
        return f"{self.kind}: {self.condition} ({self.detail})" if self.detail else f"{self.kind}: {self.condition}"

    @property
    def for_trace(self) -> str:
        """`ensure: no_type_errors(result) — 4 type errors in auth.py`."""
        if self.kind == "schema":
            return self.for_prompt
        return f"{self.kind}: {self.condition} — {self.detail}" if self.detail else f"{self.kind}: {self.condition}"

    @property
    def for_audit(self) -> str:
        """The detail alone, else the condition: `middleware not applied to /api/v2/ prefix`."""
        return self.detail or self.condition


def retry_message(violations: Sequence[Violation]) -> str:
    """The retry prompt: what was violated and nothing else."""
    lines = "\n".join(f"  - {violation.for_prompt}" for violation in violations)
    return f"Previous attempt failed:\n{lines}\nFix these issues specifically."


def one_line(text: str) -> str:
    """`text` on one line of at most `MAX_TEXT` characters, control characters escaped.

    A violation is one line of a prompt: quoted output must not be able to start another.
    """
    visible = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in text[: MAX_TEXT + 1]
    )
    return visible if len(visible) <= MAX_TEXT else visible[: MAX_TEXT - 1] + "…"
