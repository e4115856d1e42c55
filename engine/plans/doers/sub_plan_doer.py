"""A `plan` step: the steps of another plan, with the step's inputs as theirs and its id before their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stratum.contracts.violation import Violation
from stratum.engine.plans.doers.doer import Outcome

if TYPE_CHECKING:
    from stratum.engine.plans.steps import PlanSteps


class SubPlanDoer:
    """What the inner steps ask for is asked of the run; what they cost counts in the step's budget."""

    def __init__(self, inner: PlanSteps) -> None:
        self._inner = inner

    async def attempt(self, violations: Sequence[Violation]) -> Outcome:
        return Outcome(result=await self._inner.result())

    def judged(
        self, violations: Sequence[Violation], attested: Sequence[str], *, last: bool, sent_on: bool = False
    ) -> None:
        pass
