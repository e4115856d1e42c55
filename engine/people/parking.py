"""`Parking`: who waits for a person, and whose clock stands meanwhile.

A budget's clock stops only while every live task in it is parked. Trio tells nobody when a task starts or ends, so while
somebody is parked the tasks are looked at before each wait for I/O, which is when all that could run has run. Nothing is
looked at while nobody is parked, nor for a budget whose clock stands: only those who are parked can change that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from stratum.engine.envelope import Envelope


class Parking(trio.abc.Instrument):
    """Of one runtime."""

    def __init__(self) -> None:
        self._parked: dict[trio.lowlevel.Task, int] = {}
        """With how many nurseries each had open: those opened since belong to the waiting itself."""
        self._envelopes: Counter[Envelope] = Counter()
        """Those with a time limit in which somebody is parked."""

    @contextmanager
    def parked(self, envelope: Envelope) -> Generator[None]:
        """Around the current task's wait for a person, and whatever tasks that takes."""
        task = trio.lowlevel.current_task()
        limited = [each for each in envelope.outwards() if math.isfinite(each.cancel_scope.deadline) or each.stands]
        if not self._parked:
            trio.lowlevel.add_instrument(self)
        self._parked[task] = len(task.child_nurseries)
        self._envelopes.update(limited)
        try:
            yield
        finally:
            del self._parked[task]
            self._envelopes -= Counter(limited)
            if not self._parked:
                trio.lowlevel.remove_instrument(self)
            for each in limited:
                each.start_clock()

    def before_io_wait(self, timeout: float) -> None:
        for envelope in self._envelopes:
            if not envelope.stands and self._all_parked(envelope):
                envelope.stop_clock()

    def _all_parked(self, envelope: Envelope) -> bool:
        if envelope.has_guests:  # whose tasks are anywhere
            return False
        owner, outside = envelope.owned_by
        tasks: list[tuple[trio.lowlevel.Task, int]] = [(owner, outside)]
        while tasks:
            task, skipped = tasks.pop()
            nurseries = task.child_nurseries[skipped : self._parked.get(task)]
            # A task that is not parked may still do nothing but wait for its children. Trio knows; where another version
            # does not say, the clock runs on.
            waits = bool(nurseries) and getattr(nurseries[-1], "_parent_waiting_in_aexit", False)
            if task not in self._parked and not waits:
                return False
            tasks += [(child, 0) for nursery in nurseries for child in nursery.child_tasks]
        return True
