"""`Estimator`: what a plan will probably take: from what its functions took in this project, else from prices and sizes.

A guess for whoever looks at a plan; what it may take at most is its budget's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from stratum.actors.past_calls import PastCalls
from stratum.contracts.codec import Codec
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import Estimate, Kind, Step
from stratum.contracts.price import Price, Usage
from stratum.engine.infer import DEFAULT_OUTPUT_TOKENS, Infer
from stratum.engine.plans.functions import Functions
from stratum.engine.pricing.service_tier import ServiceTier

BYTES_PER_TOKEN: Final = 4
"""Of English and JSON, about."""
REFERENCE_BYTES: Final = 400
"""That an argument has which only the run will show."""
OUTPUT_SHARE: Final = 4
"""Answers fill about a quarter of what their contract would let them."""


class _Taken(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    calls: float
    picousd: float | None


class Estimator:
    """Estimates by what a project's functions took, what models cost in a tier (`None`: in that of calls that name none), and `model`, which calls that name none go to."""

    def __init__(
        self,
        functions: Functions,
        *,
        past: Mapping[tuple[str, str], PastCalls],
        price_of: Callable[[str, ServiceTier | None], Price | None],
        model: str | None,
    ) -> None:
        self._functions = functions
        self._past = past
        self._price_of = price_of
        self._model = model

    def estimate(self, compiled: CompiledPlan) -> Estimate:
        """Calls of models, agents and programs, and money; the money is `None` where a step's cost cannot be guessed.

        Steps that only stand in for failed ones do not count.
        """
        taken = list(self._steps(compiled, at_most=False))
        return Estimate(calls=round(sum(step.calls for step in taken)), picousd=_sum(taken))

    def estimated(self, compiled: CompiledPlan) -> CompiledPlan:
        """The plan with what it will probably take."""
        plan = msgspec.structs.replace(compiled.plan, estimate=self.estimate(compiled))
        return msgspec.structs.replace(compiled, plan=plan)

    def costs_by_kind(self, compiled: CompiledPlan) -> dict[Kind, int | None]:
        """The money, by who does the steps, for whoever has to be sure of it.

        Steps that stand in for failed ones count, and what a model's calls took before only where that is more than their
        price says: the record is where plans' steps may write, and prices change.
        """
        taken: dict[Kind, list[_Taken]] = {}
        for step in self._steps(compiled, at_most=True):
            taken.setdefault(step.kind, []).append(step)
        return {kind: _sum(steps) for kind, steps in taken.items()}

    def _steps(self, compiled: CompiledPlan, *, at_most: bool) -> Iterable[_Taken]:
        stand_ins = {step.on_fail for step in compiled.plan.steps if step.on_fail}
        for step, kind, returns in zip(compiled.plan.steps, compiled.kinds, compiled.outputs, strict=True):
            if step.id in stand_ins and not at_most:
                continue
            if kind == "plan":
                yield from self._steps(compiled.plans[step.fn], at_most=at_most)
            elif kind not in ("compute", "gate"):
                yield self._taken(step, kind, returns, at_most=at_most)

    def _taken(self, step: Step, kind: Kind, returns: Codec[object] | None, *, at_most: bool) -> _Taken:
        # As the record names a call: see StepWork and infer_call.
        name = step.fn or (f"step_{step.id}" if kind == "infer" else step.intent) or kind
        known = self._past.get((name, kind))
        if kind != "infer":
            unknown = 0 if kind == "command" else None
            return _Taken(
                kind=kind,
                calls=1 if known is None else known.attempts,
                picousd=unknown if known is None else known.picousd,
            )
        by_price = self._cost(step, returns)
        if known is None:
            return _Taken(kind=kind, calls=1, picousd=by_price)
        took = known.picousd
        if at_most:
            took = None if took is None or by_price is None else max(took, by_price)
        return _Taken(kind=kind, calls=known.attempts, picousd=took)

    def _cost(self, step: Step, returns: Codec[object] | None) -> int | None:
        """Of one call that is accepted at once."""
        function = self._functions.steps.get(step.fn)
        call = function if isinstance(function, Infer) else None
        price, codec = self._price(step, call), returns if call is None else call.signature.returns
        if price is None or codec is None:
            return None
        told = step.intent if call is None else call.prompt.instructions
        given = msgspec.json.encode(step.inputs).decode()
        size = len(told) + len(given) + REFERENCE_BYTES * given.count('"$.') + len(codec.wire_schema)
        most = codec.max_output_tokens or DEFAULT_OUTPUT_TOKENS
        answer = max(codec.min_output_tokens, min(most, DEFAULT_OUTPUT_TOKENS) // OUTPUT_SHARE)
        return price.cost(Usage(input_tokens=size // BYTES_PER_TOKEN, output_tokens=answer))

    def _price(self, step: Step, call: Infer[..., object] | None) -> Price | None:
        """Of the model that is asked first, in the tier of the call: the step's own word goes before its function's."""
        named = step.model if isinstance(step.model, str) else step.model[0]
        of_call = call.models[0] if call is not None and call.models else self._model
        model = named or of_call
        tier = step.service_tier or (call.service_tier if call is not None else None)
        return None if model is None else self._price_of(model, tier)


def _sum(taken: Sequence[_Taken]) -> int | None:
    known = [step.picousd for step in taken if step.picousd is not None]
    return round(sum(known)) if len(known) == len(taken) else None
