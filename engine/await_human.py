"""`await_human`: a flow asks a person, and takes no budget time while it does nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, overload

import msgspec
import trio

from stratum.contracts.codec import Codec, codec
from stratum.contracts.errors import HITLTimeoutError
from stratum.contracts.human import HumanDecision, RecordedDecision
from stratum.contracts.records import GateOpened
from stratum.contracts.signature import Signature
from stratum.engine.event_loop import refuse_outside_trio
from stratum.engine.people.answer_by import answer_by, seconds_left
from stratum.engine.people.review import Review
from stratum.engine.place import Place, current_place
from stratum.engine.recorded_as import RecordedAs
from stratum.engine.step_record import StepRecord
from stratum.engine.workplace import refuse_on_worker

T = TypeVar("T")

_LONGEST_S: Final = 100 * 365 * 86_400
"""As long as a budget's."""


def _await_human(question: str, options: list[str]) -> RecordedDecision: ...  # type: ignore[empty-body]


_await_human.__name__ = "await_human"
_ASKING: Final[RecordedAs[RecordedDecision]] = RecordedAs(kind="gate", signature=Signature.of(_await_human))


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
    """Ask a person, by every sink of the runtime; whoever answers first decides.

    Budgets' clocks stand while everything in them waits like this. The question is in the journal: a run that is resumed
    asks it again until its deadline, which counts from when it was first asked. `stratum gate` answers from elsewhere.

    Args:
        question: shown as it is.
        decision: the type of the answer: any that a contract's field may have.
        options: the answers to choose from; none: any of the type.
        timeout_s: seconds to answer in; `None` waits for ever.
        on_timeout: the answer where nobody was in time; "raise" raises.

    Raises:
        HITLTimeoutError: nobody answered within `timeout_s`.
        TypeError: the question is no text, or an option or the fallback is not of the type.
        ValueError: `timeout_s` is no time to wait.
    """
    refuse_on_worker("await_human()", fix="ask in the flow that calls this one")
    _check_asked(question, options, timeout_s)
    asked = _Question(
        text=question,
        codec=codec(decision, owner="await_human", field="decision"),
        options=options,
        timeout_s=timeout_s,
        on_timeout=on_timeout,
    )
    place = current_place.get()
    if place is not None:
        return await _answered(asked, place)
    refuse_outside_trio("await_human()")
    # As a step's outermost call does it.
    from stratum.engine.runtime import open_runtime

    async with open_runtime() as runtime:
        return await _answered(asked, runtime.place)


def _check_asked(question: object, options: object, timeout_s: object) -> None:
    """Before the question is in the journal, whose records a resumed run would meet again."""
    if not isinstance(question, str):
        raise TypeError(f"await_human({question!r}): the question is no text; pass a str")
    if isinstance(options, str):
        raise TypeError(f"await_human(options={options!r}): pass a list of options, as [{options!r}]")
    if timeout_s is None:
        return
    is_number = isinstance(timeout_s, (int, float)) and not isinstance(timeout_s, bool)
    if not (is_number and 0 <= timeout_s <= _LONGEST_S):  # type: ignore[operator]  # NaN is in no range
        raise ValueError(
            f"timeout_s={timeout_s!r}: pass a number of seconds from 0 to {_LONGEST_S:,}, or None to wait on"
        )


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What a person is asked, and what happens where nobody answers."""

    text: str
    codec: Codec[Any]
    """Of the answer."""
    options: Sequence[Any]
    timeout_s: float | None
    on_timeout: Any

    @property
    def options_as_json(self) -> list[str]:
        return [msgspec.json.encode(self.codec.jsonable(option, redact=False)).decode() for option in self.options]


@trio.lowlevel.enable_ki_protection
async def _answered(asked: _Question, place: Place) -> HumanDecision[Any]:
    record = StepRecord(_ASKING, {"question": asked.text, "options": asked.options_as_json}, place)
    record.review_id = f"{place.run.id}:{record.id}"
    if record.recorded is not None:
        return _read(_ASKING.signature.returns.decode(record.recorded), asked.codec)
    try:
        opened = await _opened(asked, record, place)
        decided = await place.run.runtime.timed("person", _decided(asked, _review(asked, opened, place), place))
    except BaseException as error:
        record.failed(error)
        raise
    ticket = record.completed(
        RecordedDecision(
            value=asked.codec.encode(decided.value).decode(),
            reviewer=decided.reviewer,
            rationale=decided.rationale,
            decided_at=decided.decided_at,
            review_id=decided.review_id,
        )
    )
    await place.run.commit_result(ticket)
    return decided


async def _opened(asked: _Question, record: StepRecord, place: Place) -> GateOpened:
    """The question as it was first asked, whatever happened to the process since; on disk before anybody sees it."""
    if record.earlier is not None and record.earlier.gate is not None:
        return record.earlier.gate
    run = place.run
    opened = GateOpened(
        elapsed_ms=run.elapsed_ms,
        call=record.id,
        round=1,
        answer_by=answer_by(asked.timeout_s),
        question=asked.text,
        options=tuple(asked.options_as_json),
        type=asked.codec.name,
    )
    await run.durable(run.append(opened))
    return opened


def _review(asked: _Question, opened: GateOpened, place: Place) -> Review:
    """Raises TypeError for an option, or a fallback, that is no answer to it."""
    review = Review(
        run=place.run.id,
        step=opened.call,
        question=asked.text,
        codec=asked.codec,
        options=asked.options,
        answer_by=opened.answer_by,
    )
    for option in asked.options:
        review.checked(option)
    if asked.on_timeout != "raise":
        review.checked(asked.on_timeout)
    return review


async def _decided(asked: _Question, review: Review, place: Place) -> HumanDecision[Any]:
    runtime = place.run.runtime
    with runtime.parking.parked(place.envelope), trio.move_on_after(seconds_left(review.answer_by)):
        return await runtime.reviews.decide(review)
    if asked.on_timeout == "raise":
        raise HITLTimeoutError(review_id=review.id, question=review.question, timeout_s=asked.timeout_s or 0)
    review.resolve(asked.on_timeout, reviewer="auto", rationale="timeout")
    return await review.decided()


def _read(recorded: RecordedDecision, compiled: Codec[Any]) -> HumanDecision[Any]:
    return HumanDecision(
        value=compiled.decode(recorded.value.encode()),
        reviewer=recorded.reviewer,
        rationale=recorded.rationale,
        decided_at=recorded.decided_at,
        review_id=recorded.review_id,
    )
