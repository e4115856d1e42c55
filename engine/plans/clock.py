"""`Clock`: the running time of one budget: a plan's, or a step's. It stands while everything at work in it is parked."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager

import trio

from stratum.engine.envelope import Envelope
from stratum.engine.plans.plan_log import PlanLog


class Clock:
    """Of a run and its budget; with one `around` it, of the budget of a step."""

    def __init__(self, log: PlanLog, *, around: Clock | None = None) -> None:
        self._log = log
        self._around = around
        self._envelope: Envelope | None = None
        self._at_work = 0
        self._parked = 0
        self._left_s = math.inf

    def starts(self, envelope: Envelope) -> None:
        """The budget began to count."""
        self._envelope = envelope

    @property
    def stands(self) -> bool:
        """Nothing goes on until a person has answered."""
        return 0 < self._at_work == self._parked

    @property
    def busy(self) -> int:
        """Steps at work that do not wait for a person."""
        return self._at_work - self._parked

    @property
    def left_ms(self) -> int | None:
        """Of the budget; `None` where it has no limit."""
        if self._envelope is None:
            return None
        deadline = self._envelope.cancel_scope.deadline
        left_s = self._left_s if self.stands else deadline - trio.current_time()
        return None if left_s == math.inf else max(0, round(left_s * 1000))

    def extend(self, left_s: float) -> None:
        """A person gave it so much time from now on."""
        assert self._envelope is not None, "it began"
        if self.stands:
            self._left_s = left_s
        else:
            self._envelope.cancel_scope.deadline = trio.current_time() + left_s

    @contextmanager
    def at_work(self) -> Generator[None]:
        """Around a step that is being done."""
        self.begins()
        try:
            yield
        finally:
            self.ends()

    def begins(self) -> None:
        """A step is being done from now on, until `ends`; see `at_work`."""
        if self._parked or self._around is not None:
            self._change(at_work=+1)
        else:  # nothing can come to stand
            self._at_work += 1

    def ends(self) -> None:
        if self._parked or self._around is not None:
            self._change(at_work=-1)
        else:
            self._at_work -= 1

    @contextmanager
    def parked(self) -> Generator[None]:
        """Around a wait for a person, within a step that is being done."""
        self._change(parked=+1)
        try:
            yield
        finally:
            self._change(parked=-1)

    def _change(self, *, at_work: int = 0, parked: int = 0) -> None:
        stood = self.stands
        self._at_work += at_work
        self._parked += parked
        if self._around is not None:
            self._around._change(at_work=at_work, parked=parked)
        if stood is self.stands or self._envelope is None:
            return
        scope = self._envelope.cancel_scope
        if self.stands:
            if self._around is None:
                self._log.pause()
            self._left_s = scope.deadline - trio.current_time()
            scope.deadline = math.inf
        else:
            if self._around is None:
                self._log.go_on()
            scope.deadline = trio.current_time() + self._left_s
