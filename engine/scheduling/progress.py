"""`Progress`: where every step of a run stands, and which may start.

Pure bookkeeping on integers, without an event loop: `stratum.engine.scheduling.scheduler` asks it for
ready steps and tells it what became of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence, Sized
from contextvars import Context, copy_context
from enum import IntEnum
from heapq import heappop, heappush
from time import perf_counter
from typing import Final

from stratum.contracts.plans.dag import Dag


class StepState(IntEnum):
    """Where a step stands."""

    WAITING = 0
    READY = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4
    """It raised, its time limit passed, or it was cancelled by itself."""
    CANCELLED = 5
    """It was running when the run was stopped because another step failed."""
    BLOCKED = 6
    """It never started: something it waits for failed, or the run was stopped."""


# For the hot path, where looking up four enum members would cost a third of a whole step.
_WAITING, _READY, _RUNNING, _DONE = (
    int(state) for state in (StepState.WAITING, StepState.READY, StepState.RUNNING, StepState.DONE)
)

NONE_READY: Final = -1
TURN_OVER: Final = -2
"""What `run_ready` returns in place of a step."""

OnEnd = Callable[[int, StepState, Exception | None], None]
"""Told of each step that ended in any state but `DONE`."""


class Progress:
    """The states of a run's steps; each starts once, after all it waits for, unless it is started over."""

    _push: Callable[[int], None]
    _push_first: Callable[[int], None]
    _pop: Callable[[], int]

    def __init__(self, dag: Dag, *, heaviest_first: Sequence[float] | None, on_end: OnEnd | None) -> None:
        self.states = bytearray(len(dag))
        self.errors: dict[int, Exception] = {}
        self.unfinished = len(dag)
        self.stopped = False
        self.overtaken: set[int] = set()
        """Running steps that are to run again once they have ended, in whatever way."""
        self._dag = dag
        self._successors = dag.successors
        self._missing = list(dag.in_degrees)  # by step: predecessors that are not done
        self._on_end = on_end
        self.ready: Sized
        if heaviest_first is None:
            self._first_in_first_out()
        else:
            self._by_weight(heaviest_first)
        for step in dag.roots:
            self._make_ready(step)

    def take(self) -> int:
        """The next step to run, now `RUNNING`; `NONE_READY` if there is none."""
        states, ready = self.states, self.ready
        while ready:
            step = self._pop()
            if states[step] == _READY:  # else an entry from before `start_over`
                states[step] = _RUNNING
                return step
        return NONE_READY

    def put_back(self, step: int) -> None:
        """`step`, which was taken, has not begun after all: it is the next one."""
        self.states[step] = _READY
        self._push_first(step)

    def run_ready(
        self,
        run_at_once: Callable[[int], bool],
        *,
        failed: Callable[[int, Exception], None],
        clean: Context,
        until: float,
        most: int,
    ) -> int:
        """Run ready steps as long as `run_at_once` does them; the first one that it does not, now `RUNNING`.

        `NONE_READY` if none is left. `TURN_OVER` once one has left the context other than `clean`, past `until` by
        `perf_counter`, or after `most`. `failed` is told of those that raise. `take` and `done` are written out in the loop:
        calling them takes as long as what they do.
        """
        states, missing, successors = self.states, self._missing, self._successors
        ready, pop, push = self.ready, self._pop, self._push
        for _ in range(most):
            if not ready:
                return NONE_READY
            step = pop()
            if states[step] != _READY:  # an entry from before `start_over`
                continue
            states[step] = _RUNNING
            try:
                if not run_at_once(step):
                    return step
            except Exception as error:  # noqa: BLE001 - the supervisor of steps: whatever one raises is its failure
                failed(step, error)
            else:  # nothing was running beside it: it cannot have been overtaken
                states[step] = _DONE
                self.unfinished -= 1
                for successor in successors[step]:
                    left = missing[successor] - 1
                    missing[successor] = left
                    if left == 0 and states[successor] == _WAITING:
                        states[successor] = _READY
                        push(successor)
            if copy_context() != clean or perf_counter() > until:
                break
        return TURN_OVER

    def done(self, step: int) -> None:
        """`step` returned; whatever waited for it alone is ready."""
        if self.overtaken and step in self.overtaken:
            self._run_again(step)
            return
        states, missing = self.states, self._missing
        states[step] = _DONE
        self.unfinished -= 1
        for successor in self._successors[step]:
            left = missing[successor] - 1
            missing[successor] = left
            if left == 0 and states[successor] == _WAITING:
                states[successor] = _READY
                self._push(successor)

    def failed(self, step: int, error: Exception) -> bool:
        """`step` failed, and its descendants never start; False if it was overtaken, so that it does not matter."""
        if step in self.overtaken:
            self._run_again(step)
            return False
        self.errors[step] = error
        self._end(step, StepState.FAILED, error)
        self._block_after(step)
        return True

    def cancelled(self, step: int, error: Exception | None) -> None:
        """`step` ended because the run was stopped."""
        self._end(step, StepState.CANCELLED, error)

    def stop(self) -> None:
        """Nothing more starts."""
        self.stopped = True
        for step, state in enumerate(self.states):
            if state in (_WAITING, _READY):
                self._end(step, StepState.BLOCKED, None)

    def start_over(self, asking: int, first: int) -> list[int]:
        """Put `first` and whatever came of it back to where it had not started.

        Returns the overtaken steps: those running on what is being replaced, to be cancelled.

        Raises:
            ValueError: the running step `asking` is not `first` and does not come after it.
        """
        after = self._dag.descendants(first)
        if asking != first and asking not in after:
            raise ValueError(f"step {asking} asked to start over from step {first}, which it does not come after")
        running = [step for step in (first, *after) if self.states[step] == _RUNNING and step != asking]
        self.overtaken.update(running)
        for step in {first, *after}.difference(running):
            state = self.states[step]
            if state == _DONE:
                for successor in self._dag.successors[step]:
                    self._missing[successor] += 1
            if state > _RUNNING:
                self.unfinished += 1
                self.errors.pop(step, None)
            self.states[step] = _WAITING
        self._block_after_failures()
        self._make_ready(first)
        return running

    def _run_again(self, step: int) -> None:
        self.overtaken.discard(step)
        if self.stopped:
            self.cancelled(step, None)
            return
        self.states[step] = _WAITING
        self._block_after_failures()
        if self.states[step] == _WAITING and not self._missing[step]:
            self._make_ready(step)

    def _block_after_failures(self) -> None:
        for step in self.errors:
            self._block_after(step)

    def _block_after(self, step: int) -> None:
        for descendant in self._dag.descendants(step):
            if self.states[descendant] == _WAITING:
                self._end(descendant, StepState.BLOCKED, None)

    def _end(self, step: int, state: StepState, error: Exception | None) -> None:
        self.states[step] = state
        self.unfinished -= 1
        if self._on_end is not None:
            self._on_end(step, state, error)

    def _make_ready(self, step: int) -> None:
        self.states[step] = _READY
        self._push(step)

    def _first_in_first_out(self) -> None:
        queue: deque[int] = deque()
        self.ready, self._push, self._push_first, self._pop = queue, queue.append, queue.appendleft, queue.popleft

    def _by_weight(self, weights: Sequence[float]) -> None:
        by_rank = sorted(range(len(weights)), key=lambda step: -weights[step])
        rank = [0] * len(by_rank)
        for place, step in enumerate(by_rank):
            rank[step] = place
        heap: list[int] = []  # of ranks: plain integers compare faster than pairs of weight and step
        self.ready = heap
        self._push = self._push_first = lambda step: heappush(heap, rank[step])
        self._pop = lambda: by_rank[heappop(heap)]
