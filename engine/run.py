"""`Run`: one outermost flow, or a session's calls outside any flow; its records, step ids and scopes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec
import trio

from stratum.actors.answer_cache import AnswerCache
from stratum.contracts.budget import Budget
from stratum.contracts.errors import BudgetExceeded, Completed, RunError
from stratum.contracts.plans.errors import RunCancelled
from stratum.contracts.records import CallStarted, Leaked, Record, RunFinished, ScopeOpened
from stratum.contracts.trace import Attempt, CallKind
from stratum.engine.history import History, RecordedStep, StepKey, within
from stratum.engine.stopped import ended_by, was_stopped

if TYPE_CHECKING:
    from stratum.actors.journal import Ticket
    from stratum.actors.ledger import Limits, Scope
    from stratum.engine.runtime import Runtime


class EnteredStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that has begun in this run."""

    id: str
    recorded: RecordedStep | None
    """What an earlier life of this run knows of it."""


class PlannedStep(msgspec.Struct, kw_only=True):
    """A plan's step about to be done, perhaps not for the first time: its id is the plan's, its history its own."""

    id: str
    recorded: RecordedStep
    """Answers to go on from."""
    begun: bool = False
    """Its beginning is in the journal."""
    target: bool = False
    """Another step may send its violations here: answers are kept, to go on from."""
    repairs: int = 0
    """Attempts that others asked for, besides its own retries."""
    carried: list[Attempt] = []
    """Attempts of the times before, whose results no longer count; what they cost does."""
    reruns: int = 0
    """Times it was done again only because of a repair upstream."""


class Run:
    """One run: everything it decides is appended to the journal under its id, in order."""

    def __init__(self, runtime: Runtime, *, id: str, history: History | None = None, resumable: bool = True) -> None:
        self.runtime = runtime
        self.id = id
        self.history = history or History()
        self.resumable = resumable
        """A session's own run is not: it has no beginning to go back to, and keeps no per-step memory."""
        self.answers = AnswerCache()
        """Of calls that say `cache="session"`."""
        self._ended = False
        self.now: Callable[[], float] = trio.lowlevel.current_clock().current_time
        """`trio.current_time`, which asks this through two calls more: a call is timed ten times."""
        self._started_at = self.now()
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._occurrences: Counter[StepKey] = Counter()
        self._unfinished: dict[str, None] = {}
        self._completed: list[Completed] = []

    @property
    def resumed(self) -> bool:
        """It goes on with what an earlier session began."""
        return self.history.started is not None

    @property
    def elapsed_ms(self) -> int:
        """Running time so far; downtime between a kill and a resume is free."""
        return self.history.elapsed_ms + round((self.now() - self._started_at) * 1000)

    def append(self, *records: Record) -> Ticket:
        """Record these together, in order; `durable(ticket)` waits until they are on disk.

        Raises:
            RunError: the run has ended.
            JournalUnavailable: nothing can be recorded any more.
        """
        if self._ended:
            raise RunError(
                run=self.id,
                problem="it has ended, and a task that it started goes on calling",
                fix="await that task before the flow returns, or make its calls with Runtime.run",
            )
        ticket = self.runtime.journal.append(self.id, *records)
        for record in records:
            self.runtime.events.publish(self.id, record)
        return ticket

    async def durable(self, ticket: Ticket) -> None:
        """Wait until what was appended is on disk."""
        await self.runtime.timed("journal", self.runtime.journal.durable(ticket))

    async def commit_result(self, ticket: Ticket) -> None:
        """Wait, though cancelled: what was paid for reaches the disk before its branch stops."""
        with trio.CancelScope(shield=True):
            await self.durable(ticket)

    def enter(
        self,
        *,
        parent: str,
        function: str,
        type: CallKind,
        input_digest: str,
        model: str = "",
        planned: PlannedStep | None = None,
        branch: str = "",
    ) -> EnteredStep:
        """Begin a step: the same one as before the run was resumed, else a new one."""
        if planned is not None:
            step = EnteredStep(id=planned.id, recorded=planned.recorded)
            recorded = planned.recorded if planned.begun else None
        else:
            recorded = self._recorded((parent, function, input_digest, branch)) if self.resumable else None
            step = EnteredStep(id=recorded.id if recorded else self._new_id(parent, function), recorded=recorded)
        if recorded is None:
            self.append(
                CallStarted(
                    elapsed_ms=self.elapsed_ms,
                    call=step.id,
                    parent=parent,
                    function=function,
                    type=type,
                    input_digest=input_digest,
                    model=model,
                    branch=branch,
                )
            )
        if self.resumable and type != "parallel":  # which is no work of its own: only what it is around
            self._unfinished[step.id] = None
        return step

    def completed(self, step: EnteredStep, *, function: str, result: object) -> None:
        """The step has its result."""
        if step.id in self._unfinished:
            del self._unfinished[step.id]
            self._completed.append(Completed(call=step.id, function=function, result=result))

    def failed(self, step: EnteredStep) -> None:
        """The step ended by an error of its own; a cancelled one stays unfinished."""
        self._unfinished.pop(step.id, None)

    def completed_in(self, path: str) -> list[Completed]:
        """Finished steps within a scope, in the order they finished."""
        return [done for done in self._completed if within(done.call, path)]

    def unfinished_in(self, path: str) -> list[str]:
        """Steps within a scope that began and did not end, in the order they began."""
        return [step for step in self._unfinished if within(step, path)]

    def open_scope(self, path: str, *, parent: Scope | None, label: str, limits: Limits, budget: Budget) -> Scope:
        """Open a ledger scope; one that the run already had takes up its numbers again."""
        ledger = self.runtime.ledger
        scope = ledger.open_scope(path, parent=parent, label=label, limits=limits)
        if path == "" and self.resumed:
            ledger.restore(scope, self.history.ledger)  # the scopes inside take theirs up as they are opened again
        self.append(ScopeOpened(elapsed_ms=self.elapsed_ms, scope=path, label=label, limits=budget.limits))
        return scope

    def close_scope(self, scope: Scope) -> None:
        self.runtime.ledger.close_scope(scope)

    def used_before_s(self, path: str) -> float:
        """Seconds that a scope's clock had run for when the run was last stopped."""
        return self.history.scope_used_ms[path] / 1000

    def finish(self, output: bytes) -> Ticket:
        """The run has its result."""
        return self._end(RunFinished(elapsed_ms=self.elapsed_ms, state="succeeded", output=msgspec.Raw(output)))

    def finish_badly(self, error: BaseException) -> None:
        """The run ended without a result. Appended, not awaited: it is on its way out, perhaps cancelled."""
        state: Literal["failed", "exhausted", "cancelled"] = "failed"
        if isinstance(error, BudgetExceeded):
            state = "exhausted"
        elif was_stopped(error) or isinstance(error, RunCancelled):
            state = "cancelled"
        self._end(RunFinished(elapsed_ms=self.elapsed_ms, state=state, error=ended_by(error)))

    async def go_back(self, step: str, scope: Scope) -> None:
        """Let what is inside `step` begin anew, as when a run is resumed: what completed there is not done again.

        Nothing is at work there; `scope` is the innermost budget around it.
        """
        if not self.resumable:
            return  # nothing is kept of single steps
        past = History(await self.runtime.journal.read(self.id))
        self.history.take_over(past, step=step)
        scope.recorded = past.ledger
        for key in [key for key in self._occurrences if within(key[0], step)]:
            del self._occurrences[key]

    def leaked(self, step: str, what: str) -> None:
        """A thread was abandoned and may still be running."""
        self.append(Leaked(elapsed_ms=self.elapsed_ms, call=step, what=what))

    def _end(self, record: RunFinished) -> Ticket:
        ticket = self.append(record)
        self._ended = True
        return ticket

    def _recorded(self, key: StepKey) -> RecordedStep | None:
        occurrence = self._occurrences[key]
        self._occurrences[key] += 1
        return self.history.step(key, occurrence)

    def _new_id(self, parent: str, function: str) -> str:
        numbered = (parent, function)
        if numbered not in self._numbers:
            self._numbers[numbered] = self.history.count(parent, function)
        self._numbers[numbered] += 1
        return f"{parent}/{function}#{self._numbers[numbered]}" if parent else f"{function}#{self._numbers[numbered]}"
