"""`Doer`: who does one step of a plan, and what it hands back to be judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from stratum.contracts.price import Usage
from stratum.contracts.violation import Violation


class Outcome(msgspec.Struct, kw_only=True):
    """What one attempt at a step brought."""

    result: Any = None
    """Of the step's own type; present where nothing was wrong with its form."""
    violations: tuple[Violation, ...] = ()
    """What was wrong with its form: such a result is not looked at further."""
    usage: Usage | None = None
    picousd: int = 0
    priced: bool = True
    """False: what it cost is not known."""
    conflict: bool = False
    """There is no result, because its changes conflict with those of another step."""
    own_tree: bool = False
    """It was done in a work tree of its own, and what it changed was looked at there."""
    flagged: str = ""
    """Why people are to look at it later: nobody did."""


class Doer(Protocol):
    """One step's; asked again for each attempt."""

    async def attempt(self, violations: Sequence[Violation]) -> Outcome:
        """Do the step; on a retry, mend `violations`."""
        ...
