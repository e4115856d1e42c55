"""A step made of calls: one record in the journal, one budget around them, itself one call to whoever makes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from stratum.contracts.budget import Budget
from stratum.engine.envelope import open_envelope
from stratum.engine.place import Place, current_place
from stratum.engine.recorded_as import RecordedAs
from stratum.engine.step_record import StepRecord

R = TypeVar("R")


async def perform_composed(
    step: RecordedAs[Any],
    arguments: dict[str, Any],
    place: Place,
    *,
    budget: Budget | None,
    input_digest: str,
    body: Callable[[Place], Awaitable[R]],
) -> R:
    """Run `body` as the step; its calls stand below it and draw on `budget` together.

    Raises:
        BudgetExceeded: `budget` ran out.
    """
    record = StepRecord(step, arguments, place, input_digest=input_digest)
    if record.recorded is not None:
        recorded: R = step.signature.returns.recall(record.recorded)
        return recorded
    try:
        with open_envelope(
            place.run,
            label=record.id,
            path=record.id,
            parent=place.envelope,
            budget=budget,
        ) as envelope:
            inside = msgspec.structs.replace(place, envelope=envelope, step=record.id)
            token = current_place.set(inside)
            try:
                result = await body(inside)
            finally:
                current_place.reset(token)
    except BaseException as error:
        record.failed(error)
        raise
    record.completed(result)
    return result
