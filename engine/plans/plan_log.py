"""`PlanLog`: a plan's run in the journal. Every record is noted in its history too, so that what is resumed is what was.

Steps that only compute are recorded many at a time: one of them costs less than a record does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from stratum.contracts.errors import Completed
from stratum.contracts.python_value import shown
from stratum.contracts.records import Record, StepDone, StepsDone
from stratum.engine.history import within
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.run import EnteredStep, Run

if TYPE_CHECKING:
    from stratum.actors.journal import Ticket
    from stratum.engine.plans.plain_steps import PlainSteps
    from stratum.engine.runtime import Runtime

Computing = tuple["PlainSteps", int, int]
"""A step at work: whose, its number there, and when it began, by the stopwatch there."""

SEGMENT_STEPS: Final = 512
SEGMENT_S: Final = 0.005
"""PERF.md: a segment of 512 events, or of 5 ms."""


class PlanLog(Run):
    """The records of one plan's run."""

    def __init__(self, runtime: Runtime, *, id: str, history: PlanHistory) -> None:
        super().__init__(runtime, id=id, history=history)
        self.past = history
        self.crowded = False
        """The disk was far behind when a segment was last written: the next step waits for `room`."""
        self._segment: list[StepDone] = []
        self._begun_segment = trio.Event()
        self.computing: dict[str, Computing] = {}
        """By id: steps that only compute and are awaited. One that calls another step after all is recorded, and no more here."""
        self._paused_at: float | None = None
        self._last: Ticket | None = None

    @property
    def elapsed_ms(self) -> int:
        """Running time so far; neither downtime nor the wait for a person alone is in it."""
        now = self.now() if self._paused_at is None else self._paused_at
        return self.history.elapsed_ms + round((now - self._started_at) * 1000)

    def pause(self) -> None:
        """Only people are waited for: time stands."""
        self._paused_at = trio.current_time()

    def go_on(self) -> None:
        assert self._paused_at is not None, "it was paused"
        self._started_at += trio.current_time() - self._paused_at
        self._paused_at = None

    async def let_go(self) -> None:
        """Write what is left, and let another session go on with the run."""
        self._flush()
        self._ended = True
        await self.runtime.journal.release(self.id)

    async def synced(self) -> None:
        """Wait until everything appended so far is on disk."""
        self._flush()
        if self._last is not None:
            await self.durable(self._last)

    def append(self, *records: Record) -> Ticket:
        self._flush()
        return self._append(*records)

    def step_done(self, id: str, output: bytes, *, duration_us: int) -> None:
        """A step that only computed is done, and noted. On disk within 5 ms, or with the next record that is waited for."""
        segment = self._segment
        segment.append(StepDone(id, msgspec.Raw(output), duration_us))
        size = len(segment)
        if size == 1:
            self._begun_segment.set()
        elif size >= SEGMENT_STEPS:
            self._flush()

    def unfinished_in(self, path: str) -> list[str]:
        return [*super().unfinished_in(path), *(step for step in self.computing if within(step, path))]

    def enter(self, *, parent: str, **step: Any) -> EnteredStep:
        if parent in self.computing:
            steps, number, began_ns = self.computing.pop(parent)
            steps.record(number, began_ns)
        return super().enter(parent=parent, **step)

    async def room(self) -> None:
        """Wait while the disk is far behind."""
        await self.runtime.journal.room()
        self.crowded = self.runtime.journal.behind

    async def flush_soon(self) -> None:
        """Runs beside the steps: no segment stays unwritten for longer than `SEGMENT_S`."""
        while True:
            await self._begun_segment.wait()
            await trio.sleep(SEGMENT_S)
            self._flush()

    def completed(self, step: EnteredStep, *, function: str, result: object) -> None:
        self._unfinished.pop(step.id, None)  # its result is in the history: see completed_in

    def completed_in(self, path: str) -> list[Completed]:
        """Finished steps within a scope, with their results as JSON values."""
        self._flush()
        inside = f"{path}/" if path else ""
        done = list(self.past.plain.items())
        done += [
            (known.id, bytes(known.recorded.finished.output))
            for known in self.past.by_id.values()
            if known.recorded.finished is not None and known.recorded.completed
        ]
        return [
            Completed(call=id, function=id, result=shown(output))
            for id, output in done
            if id == path or id.startswith(inside)
        ]

    def _flush(self) -> None:
        if self._segment:
            steps, self._segment = self._segment, []
            self._begun_segment = trio.Event()
            self._append_done(steps)
            self.crowded = self.runtime.journal.behind

    def _append_done(self, steps: list[StepDone]) -> None:
        """In one record; in several where their results come to more together than a record may hold."""
        try:
            self._append(StepsDone(elapsed_ms=self.elapsed_ms, steps=steps))
        except ValueError:
            if len(steps) == 1:
                raise
            middle = len(steps) // 2
            self._append_done(steps[:middle])
            self._append_done(steps[middle:])

    def _append(self, *records: Record) -> Ticket:
        self._last = ticket = super().append(*records)
        for record in records:
            if not isinstance(record, StepsDone):  # those are noted one by one
                self.past.note(record)
        return ticket
