"""`Case`: a condition in plain English, and all that a judge of it is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec


class Exhibit(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of evidence that we gathered ourselves; its text is from outside, whatever it says."""

    title: str
    text: str


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one condition in plain English."""

    holds: bool
    detail: str = ""
    """Why not."""
    attested: bool = False
    """Nobody but the agent vouches for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A condition in plain English, with all that is shown to a judge: once for each attempt at the step."""

    condition: str
    step: str
    """Its id in the run."""
    task: str
    """What the step was to do."""
    result: Any
    """What was reported or returned, as JSON values: a claim, no evidence."""
    inputs: Mapping[str, Any]
    workspace: Path
    """The folder that the step worked in."""
    gather: Callable[[], Awaitable[Sequence[Exhibit]]]
    """What the step changed in the workspace, and what was run to check it."""
    ask: Callable[[], Awaitable[Judged]]
    """Put it to a person instead, and wait for the answer."""
    may_attest: bool = False
    """The step is an agent's, and the user's policy takes the word of agents."""


class Judge(Protocol):
    """Decides conditions in plain English."""

    async def __call__(self, case: Case) -> Judged: ...
