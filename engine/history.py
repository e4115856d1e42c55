"""`History`: what a run's journal says was already done, so that a resumed run does it no second time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from stratum.actors.ledger import LedgerState, replay
from stratum.contracts.budget import Budget
from stratum.contracts.records import (
    Answered,
    AttemptFinished,
    CallFinished,
    CallStarted,
    ClockStarted,
    ClockStopped,
    GateOpened,
    LimitRaised,
    Record,
    RunFinished,
    RunResumed,
    RunStarted,
    ScopeOpened,
)
from stratum.contracts.trace import Attempt

StepKey = tuple[str, str, str, str]
"""Parent step id, function, input digest, branch: with the occurrence among equals, a step's identity across resumes."""


class RecordedAnswer(msgspec.Struct, kw_only=True):
    """An answer that was received and paid for before the run stopped."""

    number: int
    body: str
    dialect: str
    verdict: Attempt | None = None
    """`None`: it was never judged."""


class RecordedStep(msgspec.Struct, kw_only=True):
    """A step that was started before the run stopped."""

    id: str
    parent: str
    function: str
    finished: CallFinished | None = None
    answers: list[RecordedAnswer] = []
    gate: GateOpened | None = None
    """The question that a person was asked."""

    @property
    def completed(self) -> bool:
        return self.finished is not None and self.finished.outcome == "ok"


class History:
    """The journal of one run, read for resuming. Empty for a run that starts."""

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self.ledger: LedgerState = replay(records)
        self.elapsed_ms = max((record.elapsed_ms for record in records), default=0)
        self.started: RunStarted | None = None
        self.finished: RunFinished | None = None
        self.scope_used_ms: Counter[str] = Counter()
        """How long each budget's clock ran, by scope; not while it was closed, nor while the run was down."""
        self._scope_opened_ms: dict[str, int] = {}
        self.steps: dict[str, RecordedStep] = {}
        self._raised: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._by_key: defaultdict[StepKey, list[RecordedStep]] = defaultdict(list)
        self._used: set[str] = set()
        for record in records:
            self.note(record)
        self._close_all(at_ms=self.elapsed_ms)

    def step(self, key: StepKey, occurrence: int) -> RecordedStep | None:
        """The step that was the `occurrence`-th (from 0) of its key, if the run got that far."""
        recorded = self._by_key.get(key, ())
        if occurrence >= len(recorded):
            return None
        step = recorded[occurrence]
        self._used.add(step.id)
        return step

    def count(self, parent: str, function: str) -> int:
        """Steps of `function` under `parent` so far: new ones are numbered after them."""
        return sum(len(steps) for key, steps in self._by_key.items() if key[:2] == (parent, function))

    def budget(self, declared: Budget | None, scope: str) -> Budget | None:
        """A scope's budget: as declared, and as a person raised it since."""
        raised = self._raised.get(scope)
        if not raised:
            return declared
        limits = {**(declared.limits if declared else {}), **raised}
        return Budget.of_limits(limits, on_exhaustion=declared.on_exhaustion if declared else "cancel")

    def raise_limits(self, raised: LimitRaised) -> bool:
        """A person gives a scope new limits before the run goes on; False if the run never opened it."""
        opened = raised.scope in self.ledger.scopes
        if opened:
            self.ledger.fold(raised)
        if opened or raised.scope == "":  # a run killed before it had a budget begins with this one
            self._raised[raised.scope] |= raised.limits
        return opened

    def take_over(self, past: History, *, step: str) -> None:
        """What was done inside `step`, by a reading of the same run's records up to now; none of it is used yet."""
        for id, recorded in past.steps.items():
            if within(id, step) or within(step, id):
                self.steps[id] = recorded
        for key, steps in past._by_key.items():
            if within(key[0], step):
                self._by_key[key] = steps
                self._used.difference_update(recorded.id for recorded in steps)
        for scope, used_ms in past.scope_used_ms.items():
            if scope != step and within(scope, step):
                self.scope_used_ms[scope] = used_ms

    def unused(self) -> list[str]:
        """Completed steps that the resumed run did not ask for, though it did ask for the step around them."""
        return [
            step.id
            for step in self.steps.values()
            if step.completed and step.id not in self._used and not self._inside_completed(step)
        ]

    def _inside_completed(self, step: RecordedStep) -> bool:
        while step.parent:
            step = self.steps[step.parent]
            if step.completed:
                return True
        return False

    def note(self, record: Record) -> None:
        """Go one record on."""
        # The most frequent first: each case that is not the one takes as long as a small step of a plan.
        match record:
            case CallStarted():
                if record.call not in self.steps:
                    step = RecordedStep(id=record.call, parent=record.parent, function=record.function)
                    self.steps[record.call] = step
                    self._by_key[record.parent, record.function, record.input_digest, record.branch].append(step)
            case AttemptFinished():
                for answered in self.steps[record.call].answers:
                    if answered.number == record.attempt.number:
                        answered.verdict = record.attempt
            case CallFinished():
                self.steps[record.call].finished = record
                self._close(record.call, at_ms=record.elapsed_ms)
            case RunStarted():
                self.started = record
            case RunResumed():
                self.finished = None
                self._close_all(at_ms=record.elapsed_ms)
            case RunFinished():
                self.finished = record
                self._close_all(at_ms=record.elapsed_ms)
            case ScopeOpened():
                self._scope_opened_ms[record.scope] = record.elapsed_ms
            case ClockStopped():
                self._close(record.scope, at_ms=record.elapsed_ms)
            case ClockStarted():
                self._scope_opened_ms[record.scope] = record.elapsed_ms
            case GateOpened():
                self.steps[record.call].gate = record
            case LimitRaised():
                self._raised[record.scope] |= record.limits
            case Answered():
                answer = RecordedAnswer(number=record.number, body=record.body, dialect=record.dialect)
                self.steps[record.call].answers.append(answer)
            case _:
                pass  # spend and limits are the ledger's to fold

    def _close(self, scope: str, *, at_ms: int) -> None:
        opened_ms = self._scope_opened_ms.pop(scope, None)
        if opened_ms is not None:
            self.scope_used_ms[scope] += at_ms - opened_ms

    def _close_all(self, *, at_ms: int) -> None:
        for scope in list(self._scope_opened_ms):
            self._close(scope, at_ms=at_ms)


def within(step: str, path: str) -> bool:
    """Whether a step is the one at `path` or inside of it; everything is inside of the run, which is at the empty path."""
    return not path or step == path or step.startswith(path + "/")
