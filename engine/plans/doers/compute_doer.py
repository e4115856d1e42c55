"""A `compute` step: a function, in the place where it is to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stratum.contracts.cluster_errors import WorkerLost
from stratum.contracts.violation import Violation
from stratum.engine.compute import Compute
from stratum.engine.plans.doers.doer import Outcome
from stratum.engine.step_record import StepRecord


class ComputeDoer:
    """Calls the function again for each attempt: it cannot be told what was wrong."""

    def __init__(self, step: Compute[Any, Any], arguments: dict[str, Any], record: StepRecord) -> None:
        self._step = step
        self._arguments = arguments
        self._record = record

    async def attempt(self, violations: Sequence[Violation]) -> Outcome:
        try:
            result = await self._step.carry_out(self._arguments, self._record, retry=False)
        except WorkerLost as lost:
            # Whether it may run once more is for the plan to say.
            return Outcome(
                violations=(Violation(kind="worker", condition=f"{lost.worker} was lost", detail=lost.reason),)
            )
        return Outcome(result=self._step.signature.checked(result))
