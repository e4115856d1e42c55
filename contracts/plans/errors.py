"""What can go wrong with a plan's run, besides what can with every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratum.contracts.errors import CallFailed, RunError, StratumError
from stratum.contracts.violation import one_line


@dataclass(kw_only=True, eq=False)
class NotApproved(RunError):
    """Nothing of a plan runs before a person, or the policy of one, has approved this very plan."""

    digest: str
    problem: str = "this plan has not been approved"
    policy: str = ""
    """Why that of the user, if there is one, leaves it to them."""

    def __str__(self) -> str:
        fix = (
            self.fix
            or f"look at it with `stratum plan show {self.run}`, then `stratum approve {self.run}`, or do both on the page of `stratum ui`"
        )
        why = f", and not by policy: {self.policy}" if self.policy else ""
        return f"run {self.run}: {self.problem}{why} (digest {self.digest[:12]}); {fix}"


@dataclass(kw_only=True, eq=False)
class StepNotReady(RunError):
    """A step was reported, or a gate answered, that nobody was asked for."""

    step: str
    fix: str = "ask for the run's status: it has what is ready now"

    def __str__(self) -> str:
        return f"run {self.run}: step {self.step}: {self.problem}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class StaleTicket(StepNotReady):
    """A report names a hand-out that no longer counts, or one that was reported already, with another result."""


@dataclass(kw_only=True, eq=False)
class StepRejected(CallFailed):
    """A step of a plan had no acceptable result, and its retries are used up."""


@dataclass(kw_only=True, eq=False)
class MergeConflict(StepRejected):
    """A step that was done beside others changed the same lines as they did, and its retries are used up. No `require` tolerates it."""


@dataclass(kw_only=True, eq=False)
class TooFewSucceeded(StratumError):
    """A join cannot begin: too many of the steps that it waits for have failed."""

    step: str
    required: int
    succeeded: int
    lost: Sequence[str]
    """The others."""
    fix: str = "mend those, then resume: they are tried again"

    def __str__(self) -> str:
        others = ", ".join(self.lost[:5]) + (", ..." if len(self.lost) > 5 else "")
        return f"it requires {self.required} of the steps that it waits for, and {self.succeeded} succeeded, not {others}; {self.fix}"


@dataclass(kw_only=True, eq=False)
class JudgeUnavailable(StratumError):
    """Nobody could decide a condition in plain English."""

    step: str
    condition: str
    problem: str
    fix: str = "name another judge, or write the condition as an expression or a command"

    def __str__(self) -> str:
        return (
            f"step {self.step}: {one_line(self.condition)!r} could not be judged: {one_line(self.problem)}; {self.fix}"
        )


@dataclass(kw_only=True, eq=False)
class PlanFailed(RunError):
    """Steps of a plan failed for good; what they did not lead to is in the journal."""

    failed: Sequence[str]
    """The steps, in the order in which they failed."""
    problem: str = ""
    fix: str = "`stratum audit` shows what happened; fix the cause, then resume: what is done is not done again"


@dataclass(kw_only=True, eq=False)
class RunCancelled(RunError):
    """A person stopped the run."""

    problem: str = "it was cancelled"
    fix: str = "resume it to go on"
