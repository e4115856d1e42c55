"""`Askings`: what a plan's run asks people right now, by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from stratum.engine.plans.doers.gate_doer import Asking


class Askings(dict[str, "Asking"]):
    """Gates, and conditions that a person judges."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: defaultdict[str, set[trio.CancelScope]] = defaultdict(set)

    def open(self, step: str, asking: Asking) -> None:
        """Somebody is to answer; `asking` is taken out once they have."""
        self[step] = asking
        for waiting in self._waiting[step]:
            waiting.cancel(reason="a person is asked")

    @contextmanager
    def awaited(self, step: str, waiting: trio.CancelScope) -> Generator[None]:
        """Around the wait for a step's verdict: `waiting` is cancelled once a person is asked for it, who may take days."""
        if step in self:
            waiting.cancel(reason="a person is asked")
        self._waiting[step].add(waiting)
        try:
            yield
        finally:
            self._waiting[step].discard(waiting)
