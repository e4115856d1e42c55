"""`PlanHistory`: what a run's records say of its plan: what was proposed and approved, and where every step stands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

import msgspec

from stratum.contracts.errors import RunError
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.status import PlanState
from stratum.contracts.records import (
    Approved,
    AttemptFinished,
    CallFinished,
    CallStarted,
    Joined,
    PlanProposed,
    Record,
    Repeated,
    RolledBack,
    RunResumed,
    SnapshotTaken,
    StartedOver,
    StepsDone,
)
from stratum.engine.history import History, RecordedStep
from stratum.engine.plans.plain_results import PlainResults, is_within
from stratum.engine.plans.step_history import StepHistory


class PlanHistory(History):
    """Goes on with the run: every record that is appended is noted here as well."""

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self.proposed: PlanProposed | None = None
        self.approved: Approved | None = None
        self.plain = PlainResults()
        self.by_id: dict[str, StepHistory] = {}
        self.kept: list[str] = []
        """Steps whose workspace was kept as they left it, in the order in which they were done."""
        self.lost: set[str] = set()
        """Steps without a result that a join went on without."""
        self.rolled_back = False
        """And not gone on with since."""
        self.begun = False
        """Something of it may have been done: it can no longer be edited."""
        self._altered: set[str] = set()
        super().__init__(records)

    @property
    def plan(self) -> ExecutionPlan:
        """The plan as it was proposed last."""
        assert self.proposed is not None, "the run of a plan begins with its proposal"
        return msgspec.json.decode(bytes(self.proposed.plan), type=ExecutionPlan)

    @property
    def inputs(self) -> dict[str, Any]:
        """What the plan is given."""
        assert self.started is not None, "every run has a beginning"
        return cast("dict[str, Any]", msgspec.json.decode(bytes(self.started.inputs)))

    @property
    def digest(self) -> str:
        """64 hex characters: what has to be approved."""
        assert self.proposed is not None, "the run of a plan begins with its proposal"
        return self.proposed.digest

    @property
    def modules(self) -> Sequence[str]:
        """Where the functions that the plan names are."""
        return () if self.proposed is None else self.proposed.modules

    @property
    def state(self) -> PlanState:
        """As recorded; whether it is paused, or its process is gone, is for others to tell."""
        if self.finished is not None:
            return self.finished.state
        if self.begun:
            return "running"
        return "draft" if self.approved is None else "approved"

    @property
    def discarded(self) -> str:
        """By whom and why, if it was, before it had begun; else empty."""
        return self.finished.error if self.finished is not None and self.finished.state == "discarded" else ""

    def of(self, id: str) -> StepHistory:
        """One step's."""
        known = self.by_id.get(id)
        if known is None:
            recorded = self.steps.setdefault(id, RecordedStep(id=id, parent="", function=""))
            known = self.by_id[id] = StepHistory(id=id, recorded=recorded)
        return known

    def done(self, id: str) -> bool:
        """Its result counts."""
        return id in self.plain or (id in self.by_id and self.by_id[id].done)

    def recorded(self, id: str) -> bool:
        """Something of it is recorded."""
        return id in self.plain or id in self.by_id

    def take_altered(self) -> Collection[str]:
        """The ids of the steps of which anything was recorded or voided since this was asked last."""
        altered, self._altered = self._altered, set()
        return altered

    def need_snapshot(self, id: str, *, run: str) -> None:
        """Raises `RunError` unless the files can be restored to what they were after the step."""
        if id not in self.kept:
            kept = ", ".join(self.kept) or "no step"
            raise RunError(
                run=run,
                problem=f"step {id} has no snapshot",
                fix=f"{kept} has; agents' and commands' steps do, in a git repository",
            )

    def note(self, record: Record) -> None:
        call = getattr(record, "call", "")
        # Calls that a step's function makes have numbered ids, as in flows.
        of_a_step = call and "#" not in call
        if of_a_step:
            self.of(call)
            self._altered.add(call)
        super().note(record)
        if of_a_step:
            self._note_of_step(call, record)
            return
        match record:
            case RunResumed():
                self.begun = True
                self.rolled_back = False
                self._try_failed_ones_again()
            case Approved():
                self.approved = record
            case PlanProposed():
                self.proposed, self.approved = record, None
            case StepsDone():
                for done in record.steps:
                    self.plain.note(done.step, bytes(done.output))
            case _:
                pass

    def _note_of_step(self, call: str, record: Record) -> None:
        match record:
            case CallStarted() | AttemptFinished() | CallFinished():  # first: the most frequent ones
                self.by_id[call].note(record)
            case StartedOver():
                self._start_over(record)
            case RolledBack():
                self._roll_back(record)
            case Joined():
                self.lost.update(record.without)
            case SnapshotTaken(when="after"):
                self.kept = [*(id for id in self.kept if id != call), call]
                self.by_id[call].note(record)
            case Repeated() if not record.last:
                for known in self._void({call}):
                    known.begin_anew()
                self.by_id[call].note(record)
            case _:
                self.by_id[call].note(record)

    def _void(self, ids: Collection[str]) -> list[StepHistory]:
        """The histories of these steps and of the steps of the plans that they run; what merely computed is forgotten."""
        self._altered.update(ids)
        self.plain.forget_within(ids)
        self.lost = {id for id in self.lost if not is_within(id, ids)}
        return [known for id, known in self.by_id.items() if is_within(id, ids)]

    def _start_over(self, record: StartedOver) -> None:
        self.of(record.call).asked_repairs += 1
        for known in self._void(frozenset(record.overtaken)):
            known.start_over(record, first=known.id == record.first)

    def _roll_back(self, record: RolledBack) -> None:
        undone = frozenset(record.undone)
        self.rolled_back = bool(undone)
        for known in self._void(undone):
            known.skipped = None
            known.begin_anew()
        self.kept = [id for id in self.kept if id not in undone]

    def _try_failed_ones_again(self) -> None:
        """A run that goes on gives a step that had failed for good its retries anew."""
        for known in self.by_id.values():
            finished = known.recorded.finished
            if finished is not None and finished.outcome == "failed" and known.id not in self.lost:
                self._altered.add(known.id)
                known.begin_anew()
