"""`Review`: a question that waits for a person, and `ReviewDesk`: all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import trio

from stratum.contracts.codec import Codec
from stratum.contracts.errors import ContractViolation
from stratum.contracts.human import HumanDecision
from stratum.contracts.messages import AnswerReview, Message

if TYPE_CHECKING:
    from stratum.engine.mail import Mail


class Review:
    """One question. Whoever has it may answer it; the first answer counts."""

    def __init__(
        self,
        *,
        run: str,
        step: str,
        question: str,
        codec: Codec[Any],
        options: Sequence[Any],
        answer_by: str,
    ) -> None:
        self.id = f"{run}:{step}"
        self.run = run
        self.step = step
        self.question = question
        self.options = tuple(options)
        """Empty: any value of the type."""
        self.type_name = codec.name
        self.answer_by = answer_by
        """UTC, ISO 8601; empty: no deadline."""
        self.decision: HumanDecision[Any] | None = None
        self._codec = codec
        self._decided = trio.Event()

    @property
    def shown_options(self) -> tuple[str, ...]:
        """The options as a person reads and types them."""
        return tuple(_shown(self._codec.jsonable(option, redact=False)) for option in self.options)

    def resolve(self, value: object, *, reviewer: str, rationale: str = "") -> bool:
        """Answer it; False if somebody has already.

        Raises:
            TypeError: not of the question's type, or none of its options. It waits on.
        """
        if self.decision is not None:
            return False
        self.decision = HumanDecision(
            value=self.checked(value),
            reviewer=reviewer,
            rationale=rationale,
            decided_at=datetime.now(UTC),
            review_id=self.id,
        )
        self._decided.set()
        return True

    def resolve_text(self, text: str, *, reviewer: str, rationale: str = "") -> bool:
        """Answer it as a person types: an option or its number from 1, else a text, else JSON. Raises as `resolve`."""
        return self.resolve(self._read(text.strip()), reviewer=reviewer, rationale=rationale)

    async def decided(self) -> HumanDecision[Any]:
        """The answer, once there is one."""
        await self._decided.wait()
        assert self.decision is not None, "set before the event is"
        return self.decision

    def checked(self, value: object) -> Any:
        """`value`, if it may be an answer. Raises as `resolve`."""
        try:
            checked = self._codec.validate(value)
        except ContractViolation as error:
            raise TypeError(f"{self.id}: not an answer to this question: {error}") from error
        if self.options and checked not in self.options:
            raise TypeError(f"{self.id}: {value!r} is not offered; answer one of: {', '.join(self.shown_options)}")
        return checked

    def _read(self, text: str) -> object:
        shown = self.shown_options
        if text in shown:
            return self.options[shown.index(text)]
        if text.isdecimal() and 1 <= int(text) <= len(shown):
            return self.options[int(text) - 1]
        if self._takes(text):
            return text
        try:
            return self._codec.decode_value(text.encode())
        except ContractViolation as error:
            raise TypeError(f"{self.id}: {text!r} is not {self.type_name}: {error}") from error

    def _takes(self, text: str) -> bool:
        """Whether the text itself may be an answer."""
        try:
            self._codec.validate(text)
        except ContractViolation:
            return False
        return True


class Sink(Protocol):
    """A way to put questions to people. Add one with `open_runtime(sinks=[...])`."""

    async def ask(self, review: Review) -> None:
        """Show the question and answer it with `resolve`; cancelled once somebody else has, or the time is up."""
        ...


class ReviewDesk:
    """The questions of one runtime that wait: `resolve` answers one, from any task."""

    def __init__(self, mail: Mail, sinks: Sequence[Sink]) -> None:
        self.sinks = tuple(sinks)
        self._mail = mail
        self._pending: dict[str, Review] = {}

    @property
    def pending(self) -> list[Review]:
        """Those that wait, oldest first."""
        return list(self._pending.values())

    def resolve(self, review_id: str, value: object, *, reviewer: str, rationale: str = "") -> bool:
        """Answer one; False if it does not wait any more.

        Raises:
            TypeError: not of the question's type, or none of its options. It waits on.
        """
        review = self._pending.get(review_id)
        return review is not None and review.resolve(value, reviewer=reviewer, rationale=rationale)

    async def decide(self, review: Review) -> HumanDecision[Any]:
        """Put it to every sink until somebody has answered."""
        self._pending[review.id] = review
        try:
            with self._mail.read_by(partial(_answer, review), run=review.run):
                async with trio.open_nursery() as nursery:
                    for sink in self.sinks:
                        nursery.start_soon(sink.ask, review)
                    decision = await review.decided()
                    nursery.cancel_scope.cancel(reason="somebody has answered")
            return decision
        finally:
            del self._pending[review.id]


def _answer(review: Review, message: Message) -> None:
    """What a person says in another process. A wrong answer leaves the question waiting."""
    if isinstance(message, AnswerReview) and message.step == review.step:
        with suppress(TypeError):
            review.resolve_text(message.value, reviewer=message.by, rationale=message.rationale)


def _shown(plain: Any) -> str:
    return plain if isinstance(plain, str) else msgspec.json.encode(plain).decode()
