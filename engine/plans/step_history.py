"""`StepHistory`: what a run's records say of one step of its plan."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stratum.contracts.records import (
    AttemptFinished,
    CallFinished,
    CallStarted,
    CommandStarted,
    GateAnswered,
    GateOpened,
    HandedOut,
    Record,
    Repeated,
    Reported,
    Skipped,
    SnapshotTaken,
    StartedOver,
    TakenBack,
)
from stratum.contracts.trace import Attempt
from stratum.contracts.violation import Violation
from stratum.engine.run import PlannedStep


class StepHistory(PlannedStep, kw_only=True):
    """The fold of a step's records. Live steps are read from it too: what is resumed is what was."""

    attempts: list[Attempt] = msgspec.field(default_factory=list[Attempt])
    """Of this time; those of the times before are carried."""
    sent: tuple[Violation, ...] = ()
    """What the next attempt is to mend."""
    asked_repairs: int = 0
    """How often it sent its violations to another step, or was revised as a gate."""
    skipped: str | None = None
    handed_out: HandedOut | None = None
    reported: Reported | None = None
    """To the hand-out, and not judged yet."""
    taken_back: TakenBack | None = None
    """The last report of this attempt that nobody wanted a verdict on."""
    gate: GateOpened | None = None
    by_policy: bool = False
    """A policy has answered it in this run: if it is reached again, a person is asked."""
    repeats: list[Repeated] = msgspec.field(default_factory=list[Repeated])
    """What each time of a repeated step brought, so far."""
    command: CommandStarted | None = None
    """Begun, and its end not recorded."""
    before: str = ""
    """The commit of the workspace as it was before the step; empty: none was taken."""
    after: str = ""
    """The same as the step left it."""

    @property
    def done(self) -> bool:
        return self.recorded.completed or self.skipped is not None

    @property
    def rejected(self) -> int:
        """Attempts of this time that count against its retries: not those that another step wants mended."""
        return sum(bool(attempt.violations) for attempt in self.attempts) - self.repairs

    @property
    def output(self) -> bytes:
        """Of a step that is done, and was not skipped."""
        if self.repeats:
            return self.best
        assert self.recorded.finished is not None, "it is done"
        return bytes(self.recorded.finished.output)

    @property
    def best(self) -> bytes:
        """Its result after all times so far."""
        return best_of(self.repeats)

    @property
    def trace(self) -> CallFinished | None:
        return self.recorded.finished

    def note(self, record: Record) -> None:
        """Go one of its records on."""
        match record:
            case CallStarted():
                self.begun = True
            case AttemptFinished():
                self.attempts.append(record.attempt)
                self.sent = record.attempt.violations
                self.handed_out = self.reported = self.taken_back = self.command = None
            case CallFinished() if record.outcome != "cancelled":  # then it goes on from where it was
                self.sent = ()
                self.gate = self.command = None
            case Skipped():
                self.skipped = record.why
            case HandedOut():
                self.handed_out = record
            case Reported():
                self.reported = record
            case TakenBack():
                self.reported, self.taken_back = None, record
            case Repeated():
                self.repeats.append(record)
                if not record.last:
                    self.begin_anew()
            case GateOpened():
                self.gate = record
            case GateAnswered():
                self.gate = None
                self.by_policy = self.by_policy or bool(record.policy)
            case CommandStarted():
                self.command = record
            case SnapshotTaken(when="before"):
                self.before = record.commit
            case SnapshotTaken():
                self.after = record.commit
            case _:
                pass

    def start_over(self, record: StartedOver, *, first: bool) -> None:
        """Its result no longer counts: as `first` it goes on from what was wrong with it, else it begins anew."""
        self.skipped = self.handed_out = self.reported = self.taken_back = self.gate = None
        self.recorded.finished = None
        self.repeats.clear()
        if not first:
            self.reruns += bool(self.attempts)
            self.begin_anew()
            return
        self.repairs += 1
        self.sent = tuple(record.violations)
        if self.attempts:
            rejected = msgspec.structs.replace(self.attempts[-1], violations=self.sent)
            self.attempts[-1] = rejected
            if self.recorded.answers:
                self.recorded.answers[-1].verdict = rejected

    def begin_anew(self) -> None:
        """Forget what it had; not what that cost."""
        self.carried += self.attempts
        self.attempts.clear()
        self.recorded.answers.clear()
        self.recorded.finished = None
        self.handed_out = self.reported = self.taken_back = None
        self.before = self.after = ""
        self.sent = ()


def best_of(repeats: Sequence[Repeated]) -> bytes:
    """The result with the highest score, the earlier of equals; without scores, the last; or what was made of it at the end."""
    if merged := bytes(repeats[-1].merged):
        return merged
    scored = [repeat for repeat in repeats if repeat.score is not None]
    best = max(scored, key=lambda repeat: repeat.score or 0) if scored else repeats[-1]
    return bytes(best.output)
