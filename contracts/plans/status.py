"""What a plan's run looks like from outside: to the command line, the page and an agent. A snapshot, never live state."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stratum.contracts.plans.plan import Kind
from stratum.contracts.violation import Violation

PlanState = Literal[
    "draft",
    "approved",
    "running",
    "paused",
    "interrupted",
    "succeeded",
    "failed",
    "exhausted",
    "cancelled",
    "discarded",
]
"""`paused`: nothing can go on until a person has answered; `interrupted`: its process is gone, and it can be gone on with;
`discarded`: it never began, and never will."""
StepStanding = Literal[
    "waiting", "running", "handed_out", "asking", "done", "skipped", "failed", "cancelled", "blocked"
]
"""`handed_out`: an agent does it; `asking`: a gate waits for a person; `blocked`: something it waits for failed."""


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """An agent step, ready to be done: all that the agent needs to know, and nothing that it knew before."""

    step: str
    ticket: str
    """Names this hand-out: a report under an older one is refused, the same report again gets the same verdict."""
    attempt: int
    """From 1."""
    attempts_left: int
    """After this one."""
    fn: str
    intent: str
    inputs: dict[str, Any]
    """Arguments by name, references resolved. Empty on a retry: the agent has them."""
    schema: dict[str, Any]
    """JSON Schema of the result; empty for any JSON value."""
    ensure: tuple[str, ...]
    """What the result must satisfy, as it will be checked."""
    files: tuple[str, ...] = ()
    """The only ones that may be changed, as paths or patterns below the workspace; none: any."""
    left: dict[str, int] = {}
    """Of the step's own budget, when it was handed out: `usd` (picodollars), `tokens`, `ms`; empty: it has none."""
    violations: tuple[Violation, ...] = ()
    """On a retry: why the last report was not accepted."""
    message: str = ""
    """The same as a retry prompt: `Previous attempt failed: ...`."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A gate that waits for a person."""

    step: str
    question: str
    options: tuple[Literal["approve", "revise", "kill"], ...]
    round: int
    """From 1; each revision begins another."""
    answer_by: str = ""
    """UTC, ISO 8601; empty: no deadline."""
    on_timeout: Literal["kill", "approve"] = "kill"


class StepStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one step stands."""

    id: str
    fn: str
    kind: Kind
    standing: StepStanding
    attempts: int = 0
    picousd: int | None = 0
    """`None`: what it cost is not known."""
    retries: tuple[str, ...] = ()
    """Why each rejected attempt was rejected, as the audit words it."""
    error: str = ""
    flags: tuple[str, ...] = ()
    """What nobody verified: conditions that an agent attests, gates that a policy approved."""


class PlanStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where a plan stands."""

    run: str
    """Names the plan and its run, from the proposal on."""
    digest: str
    """64 hex characters: what an approval is bound to, the inputs included."""
    goal: str
    state: PlanState
    steps: tuple[StepStatus, ...]
    assignments: tuple[Assignment, ...] = ()
    questions: tuple[Question, ...] = ()
    settled_picousd: int = 0
    in_doubt_picousd: int = 0
    left: dict[str, int] = {}
    """Of the plan's budget: `usd` (picodollars), `tokens`, `ms`; an absent one is unlimited."""
    policy: str = ""
    """Of a draft: why the user's policy approves it, or leaves it to a person; empty: there is none, or it began."""
    version: int = 0
    """Grows with every change; to wait for the next one."""
    output: Any = None
    error: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a report."""

    step: str
    accepted: bool
    violations: tuple[Violation, ...] = ()
    attested: tuple[str, ...] = ()
    """Conditions that nobody but the agent vouches for; never to be shown as verified."""
    again: Assignment | None = None
    """Where it was not accepted and may be tried again, here or, after a repair, from `step` of this."""
    failed: bool = False
    """Its retries are used up."""
