"""`await_human`: a flow asks a person, and takes no budget time while it does nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar, overload

import msgspec
import trio

from stratum.contracts.codec import Codec, codec
from stratum.contracts.errors import HITLTimeoutError
from stratum.contracts.human import HumanDecision, RecordedDecision
from stratum.contracts.records import GateOpened
from stratum.contracts.signature import Signature
from stratum.contracts.trace import CallKind
from stratum.engine.event_loop import refuse_outside_trio
from stratum.engine.place import Place, current_place
from stratum.engine.review import Review
from stratum.engine.step_record import StepRecord
from stratum.engine.workplace import refuse_on_worker

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _Asking:
    kind: CallKind
    signature: Signature[Any]


def _await_human(question: str, options: list[str]) -> RecordedDecision: ...  # type: ignore[empty-body]


_await_human.__name__ = "await_human"
_ASKING: Final = _Asking(kind="gate", signature=Signature.of(_await_human))


@overload
async def await_human(
    question: str,
    *,
    options: Sequence[str] = (),
    timeout_s: float | None = None,
    on_timeout: str = "raise",
) -> HumanDecision[str]: ...
@overload
async def await_human(
    question: str,
    decision: type[T],
    *,
    options: Sequence[T] = (),
    timeout_s: float | None = None,
    on_timeout: T | Literal["raise"] = "raise",
) -> HumanDecision[T]: ...
async def await_human(
    question: str,
    decision: Any = str,
    *,
    options: Sequence[Any] = (),
    timeout_s: float | None = None,
    on_timeout: Any = "raise",
) -> HumanDecision[Any]:
    """Ask a person, by every sink of the runtime; who answers first decides. `decision` is the type of the answer.

    Budgets' clocks stand while everything in them waits like this. The question is in the journal: a run that is resumed
    asks it again until its deadline, which counts from when it was first asked. `stratum gate` answers from elsewhere.
    `on_timeout` is the answer where nobody was in time; the default raises.

    Raises:
        HITLTimeoutError: nobody answered within `timeout_s`.
        TypeError: an option or the fallback is not of the type.
    """
    refuse_on_worker("await_human()", fix="ask in the flow that calls this one")
    compiled = codec(decision, owner="await_human", field="decision")
    place = current_place.get()
    if place is not None:
        return await _asked(question, compiled, options, timeout_s, on_timeout, place)
    refuse_outside_trio("await_human()")
    # As a step's outermost call does it.
    from stratum.engine.runtime import open_runtime

    async with open_runtime() as runtime:
        return await _asked(question, compiled, options, timeout_s, on_timeout, runtime.place)


@trio.lowlevel.enable_ki_protection
async def _asked(
    question: str,
    compiled: Codec[Any],
    options: Sequence[Any],
    timeout_s: float | None,
    on_timeout: Any,
    place: Place,
) -> HumanDecision[Any]:
    texts = [msgspec.json.encode(compiled.jsonable(option, redact=False)).decode() for option in options]
    record = StepRecord(_ASKING, {"question": question, "options": texts}, place)
    record.review_id = f"{place.run.id}:{record.id}"
    if record.recorded is not None:
        return _read(_ASKING.signature.returns.decode(record.recorded), compiled)
    try:
        opened = await _open(record, place, question, texts, timeout_s, type_name=compiled.name)
        review = Review(
            run=place.run.id,
            step=record.id,
            question=question,
            codec=compiled,
            options=options,
            answer_by=opened.answer_by,
        )
        for option in options:
            review.checked(option)
        fallback = None if on_timeout == "raise" else review.checked(on_timeout)
        decided = await _decided(review, place, timeout_s=timeout_s, raises=on_timeout == "raise", fallback=fallback)
    except BaseException as error:
        record.failed(error)
        raise
    ticket = record.completed(
        RecordedDecision(
            value=compiled.encode(decided.value).decode(),
            reviewer=decided.reviewer,
            rationale=decided.rationale,
            decided_at=decided.decided_at,
            review_id=decided.review_id,
        )
    )
    await place.run.commit_result(ticket)
    return decided


async def _open(
    record: StepRecord,
    place: Place,
    question: str,
    options: Sequence[str],
    timeout_s: float | None,
    *,
    type_name: str,
) -> GateOpened:
    """The question as it was first asked, whatever happened to the process since; on disk before anybody sees it."""
    if record.earlier is not None and record.earlier.gate is not None:
        return record.earlier.gate
    answer_by = "" if timeout_s is None else (datetime.now(UTC) + timedelta(seconds=timeout_s)).isoformat()
    run = place.run
    opened = GateOpened(
        elapsed_ms=run.elapsed_ms,
        call=record.id,
        round=1,
        answer_by=answer_by,
        question=question,
        options=tuple(options),
        type=type_name,
    )
    await run.durable(run.append(opened))
    return opened


async def _decided(
    review: Review, place: Place, *, timeout_s: float | None, raises: bool, fallback: Any
) -> HumanDecision[Any]:
    runtime = place.run.runtime
    with runtime.parking.parked(place.envelope), trio.move_on_after(_seconds_until(review.answer_by)):
        return await runtime.reviews.decide(review)
    if raises:
        raise HITLTimeoutError(review_id=review.id, question=review.question, timeout_s=timeout_s or 0)
    review.resolve(fallback, reviewer="auto", rationale="timeout")
    return await review.decided()


def _read(recorded: RecordedDecision, compiled: Codec[Any]) -> HumanDecision[Any]:
    return HumanDecision(
        value=compiled.decode(recorded.value.encode()),
        reviewer=recorded.reviewer,
        rationale=recorded.rationale,
        decided_at=recorded.decided_at,
        review_id=recorded.review_id,
    )


def _seconds_until(moment: str) -> float:
    """From now, by the wall clock: the process may have been down."""
    if not moment:
        return math.inf
    return max(0.0, (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds())
