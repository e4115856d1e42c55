"""`quorum=`: a call asked several times at once, whose answer is what enough of the samples agree on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from stratum.contracts.contract_field import fields_of
from stratum.contracts.digest import canonical_json
from stratum.contracts.ended import Failure, Success
from stratum.contracts.errors import ConsensusFailure, ContractDefinitionError
from stratum.contracts.json_value import json_value
from stratum.engine.fan_out.composed import perform_composed
from stratum.engine.fan_out.fan_out import FanOut
from stratum.engine.place import Place
from stratum.engine.recorded_as import RecordedAs
from stratum.engine.step import Step

if TYPE_CHECKING:
    from stratum.engine.infer import Infer
    from stratum.engine.pricing.quote import Quote
    from stratum.engine.runtime import Runtime

P = ParamSpec("P")
R = TypeVar("R")

VALUE = "value"
"""What a result that is no contract is agreed on by: its name on the wire."""


class Quorum(Step[P, R], Generic[P, R]):
    """`size` samples of one call; `threshold` of them have to agree on the field `agree_on`."""

    kind = "quorum"

    def __init__(self, sample: Infer[P, R], *, size: int, agree_on: str | None, threshold: int | None) -> None:
        super().__init__(sample.function, sample.signature)
        name = sample.signature.name
        if agree_on is None or threshold is None:
            raise ContractDefinitionError(
                owner=name,
                problem="quorum needs to know who agrees",
                fix='pass agree_on="FIELD" and threshold=N as well',
            )
        if type(size) is not int or type(threshold) is not int or not 1 <= threshold <= size:
            raise ContractDefinitionError(
                owner=name,
                problem=f"quorum={size!r}, threshold={threshold!r}",
                fix="pass whole numbers, with threshold from 1 to quorum",
            )
        known = [VALUE] if sample.signature.returns.wrapped else list(fields_of(sample.signature.returns.annotation))
        if agree_on not in known:
            raise ContractDefinitionError(
                owner=name, problem=f"the result has no field {agree_on!r}", fix=f"agree on one of: {', '.join(known)}"
            )
        self._whole = sample
        self._sample = sample.varied(retries=sample.retries, budget=None, model="", also=())
        self._size = size
        self._agree_on = agree_on
        self._threshold = threshold

    async def perform(self, arguments: dict[str, Any], place: Place) -> R:
        return await perform_composed(
            RecordedAs(kind="quorum", signature=self.signature),
            arguments,
            place,
            budget=self._whole.budget,
            input_digest=self._whole.input_digest(arguments),
            body=lambda inside: self._agreed(arguments, inside),
        )

    def quote(self, arguments: dict[str, Any], runtime: Runtime) -> Quote | None:
        return self._whole.quote_of(self._size, arguments, runtime)

    async def _agreed(self, arguments: dict[str, Any], place: Place) -> R:
        # Not stopped once enough agree: the others are in flight and cost all the same, and may be more confident.
        fan_out = FanOut(self._sample.calls(arguments, self._size), place, need=None)
        await fan_out.run()
        ended = [fan_out.ended[number] for number in range(self._size)]
        outputs = [each.value for each in ended if isinstance(each, Success)]
        failures = [each.error for each in ended if isinstance(each, Failure)]
        if not outputs:
            raise failures[-1]
        agreeing = max(self._groups(outputs), key=len)
        if len(agreeing) < self._threshold:
            raise ConsensusFailure(
                function=self.signature.name,
                agree_on=self._agree_on,
                threshold=self._threshold,
                outputs=outputs,
                failures=failures,
            )
        return max(agreeing, key=_confidence)

    def _groups(self, outputs: Sequence[R]) -> list[list[R]]:
        groups: dict[bytes, list[R]] = {}
        for output in outputs:
            part: object = output if self.signature.returns.wrapped else getattr(output, self._agree_on)
            groups.setdefault(canonical_json(json_value(part)), []).append(output)
        return list(groups.values())


def _confidence(output: object) -> float:
    """`max` keeps the first of equals: without the field, the sample that was asked first."""
    confidence = getattr(output, "confidence", 0)
    return float(confidence) if isinstance(confidence, (int, float)) else 0.0
