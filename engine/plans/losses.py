"""`Losses`: of a plan with joins, the steps that have no result and never will, and what that means for those after them."""

from __future__ import annotations

from collections.abc import Iterable

from stratum.contracts.errors import ActorClosed, JournalError, OnHold
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.errors import MergeConflict, TooFewSucceeded
from stratum.contracts.plans.joins import is_join, needed

_ENDS_ALL = (MergeConflict, JournalError, ActorClosed, OnHold)
"""No plan goes on after one of these."""


class Losses:
    """For the scheduler a lost step is done, so that whoever waits for it gets a turn, and asks here."""

    def __init__(self, compiled: CompiledPlan) -> None:
        self._compiled = compiled
        self._lost: dict[int, Exception | None] = {}
        """With what it raised; `None`: it was never begun."""

    def tolerates(self, number: int, error: Exception) -> bool:
        """Whether other steps go on although this one has failed for good."""
        return not isinstance(error, _ENDS_ALL) and (
            not self._compiled.plan.fail_fast or bool(self._compiled.tolerated[number])
        )

    def add(self, number: int, error: Exception | None) -> None:
        """The step has failed, or is never begun."""
        self._lost.setdefault(number, error)

    def void(self, numbers: Iterable[int]) -> None:
        """These steps are to be done again."""
        for number in numbers:
            self._lost.pop(number, None)

    def block(self, number: int) -> bool:
        """Whether the step cannot be begun without what is lost."""
        step = self._compiled.plan.steps[number]
        return not is_join(step) and any(other in self._lost for other in self._compiled.dependencies[number])

    def admit(self, number: int) -> list[int]:
        """Every tolerated loss on the way to a step that is about to begin; none, except before a join.

        Raises:
            TooFewSucceeded: it requires more.
        """
        step, before = self._compiled.plan.steps[number], self._compiled.dependencies[number]
        lost = dict.fromkeys(other for other in before if other in self._lost)
        if not lost:
            return []
        required, ids = needed(step, len(before)), self._compiled.plan.steps
        if len(before) - len(lost) < required:
            raise TooFewSucceeded(
                step=step.id,
                required=required,
                succeeded=len(before) - len(lost),
                lost=[ids[other].id for other in lost],
            )
        to_walk = list(lost)
        for other in to_walk:  # grows while it is walked
            further = [one for one in self._compiled.dependencies[other] if one in self._lost and one not in lost]
            lost.update(dict.fromkeys(further))
            to_walk += further
        return sorted(other for other in lost if self._compiled.tolerated[other])

    @property
    def fatal(self) -> dict[int, Exception]:
        """Failures that the plan does not get over."""
        tolerated = self._compiled.tolerated
        return {number: error for number, error in self._lost.items() if error is not None and not tolerated[number]}
