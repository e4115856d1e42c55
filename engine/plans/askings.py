"""`Askings`: what a plan's run asks people right now, by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import trio

from stratum.contracts.plans.status import Question

Decision = Literal["approve", "revise", "kill"]


@dataclass(kw_only=True, eq=False, slots=True)
class Asking:
    """A question that waits for its answer."""

    question: Question
    answer: tuple[Decision, str, str] | None = None
    """The decision, by whom, and what they said."""
    answered: trio.Event = field(default_factory=trio.Event)


class Askings(dict[str, Asking]):
    """Gates, and conditions that a person judges."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: defaultdict[str, set[trio.CancelScope]] = defaultdict(set)

    @contextmanager
    def open(self, step: str, asking: Asking) -> Generator[None]:
        """Somebody is to answer, for as long as the block lasts."""
        self[step] = asking
        for waiting in self._waiting[step]:
            waiting.cancel(reason="a person is asked")
        try:
            yield
        finally:
            del self[step]

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
