"""The rules by id: what each says in one line, and where it is documented."""

from __future__ import annotations

from typing import Final

import msgspec

MANUAL_RETRY: Final = "manual-retry"
UNTYPED_CALL: Final = "untyped-call"
PARSED_BY_HAND: Final = "parsed-by-hand"
UNBUDGETED_CALL: Final = "unbudgeted-call"
SWALLOWED_STOP: Final = "swallowed-stop"
OPAQUE_IN_PROMPT: Final = "opaque-in-prompt"

HELP: Final = "https://github.com/regression-io/stratum/blob/main/docs/drift.md"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    summary: str
    instead: str
    """What to write instead."""

    @property
    def url(self) -> str:
        return f"{HELP}#{self.id}"


RULES: Final = {
    rule.id: rule
    for rule in (
        Rule(
            id=MANUAL_RETRY,
            summary="A retry around a model call that Stratum would do with the violation only, inside the budget.",
            instead="Give the step `ensure=` and `retries=`; transport failures are retried by the runtime.",
        ),
        Rule(
            id=UNTYPED_CALL,
            summary="A model call without a schema for its answer.",
            instead="Write an `@infer` function with a `@contract` return type.",
        ),
        Rule(
            id=PARSED_BY_HAND,
            summary="JSON read by hand from a model's text.",
            instead="Return a `@contract` from an `@infer` function: it arrives decoded and validated.",
        ),
        Rule(
            id=UNBUDGETED_CALL,
            summary="A model call that no budget stops.",
            instead="Give the step or the flow around it `budget=Budget(usd=...)`.",
        ),
        Rule(
            id=SWALLOWED_STOP,
            summary="A handler that goes on after a budget was exhausted or a call was stopped.",
            instead="Let `BudgetExceeded` out, or show what it says is left to do.",
        ),
        Rule(
            id=OPAQUE_IN_PROMPT,
            summary="An opaque value formatted into text that a model reads as instructions.",
            instead="Pass it as an `opaque[...]` parameter: it travels as an attachment.",
        ),
    )
}
