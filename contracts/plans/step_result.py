"""What steps return that no function does: commands and gates."""

from __future__ import annotations

from typing import Literal

from stratum.contracts.contract import contract


@contract
class CommandResult:
    """How a command ended."""

    exit_code: int
    stdout: str
    """As UTF-8, with what is not replaced; cut in the middle where it is too long."""
    stderr: str
    truncated: bool


@contract
class GateDecision:
    """What a person decided."""

    decision: Literal["approve", "revise", "kill"]
    comment: str
    by: str
    """Who; `timeout` where nobody was in time."""
