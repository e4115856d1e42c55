"""`estimate`: what a plan will probably take: from what its functions took in this project, else from prices and sizes.

A guess for whoever looks at a plan; what it may take at most is its budget's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from stratum.actors.past_calls import PastCalls
from stratum.contracts.codec import Codec
from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.plan import Estimate, Kind, Step
from stratum.contracts.price import Price, Usage
from stratum.engine.infer import DEFAULT_OUTPUT_TOKENS, Infer
from stratum.engine.plans.functions import Functions

BYTES_PER_TOKEN: Final = 4
"""Of English and JSON, about."""
REFERENCE_BYTES: Final = 400
"""That an argument has which only the run will show."""
OUTPUT_SHARE: Final = 4
"""Answers fill about a quarter of what their contract would let them."""

PriceOf = Callable[[str], Price | None]


class _Taken(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    calls: float
    picousd: float | None


def estimate(
    compiled: CompiledPlan,
    *,
    functions: Functions,
    past: Mapping[tuple[str, str], PastCalls],
    price_of: PriceOf,
    model: str | None,
) -> Estimate:
    """Calls of models, agents and programs, and money; the money is `None` where a step's cost cannot be guessed.

    `model` is that of calls which name none. Steps that only stand in for failed ones do not count.
    """
    taken = list(_Estimator(functions, past, price_of, model).steps(compiled))
    return Estimate(calls=round(sum(step.calls for step in taken)), picousd=_sum(taken))


def costs_by_kind(
    compiled: CompiledPlan,
    *,
    functions: Functions,
    past: Mapping[tuple[str, str], PastCalls],
    price_of: PriceOf,
    model: str | None,
) -> dict[Kind, int | None]:
    """The same money, by who does the steps; steps that stand in for failed ones count."""
    taken: dict[Kind, list[_Taken]] = {}
    for step in _Estimator(functions, past, price_of, model, stand_ins=True).steps(compiled):
        taken.setdefault(step.kind, []).append(step)
    return {kind: _sum(steps) for kind, steps in taken.items()}


def _sum(taken: Sequence[_Taken]) -> int | None:
    known = [step.picousd for step in taken if step.picousd is not None]
    return round(sum(known)) if len(known) == len(taken) else None


class _Estimator:
    def __init__(
        self,
        functions: Functions,
        past: Mapping[tuple[str, str], PastCalls],
        price_of: PriceOf,
        model: str | None,
        *,
        stand_ins: bool = False,
    ) -> None:
        self._stand_ins = stand_ins
        self._functions = functions
        self._past = past
        self._price_of = price_of
        self._model = model

    def steps(self, compiled: CompiledPlan) -> Iterable[_Taken]:
        stand_ins = {step.on_fail for step in compiled.plan.steps if step.on_fail}
        for number, step in enumerate(compiled.plan.steps):
            kind = compiled.kinds[number]
            if (step.id in stand_ins and not self._stand_ins) or kind in ("compute", "gate"):
                continue
            if kind == "plan":
                yield from self.steps(compiled.plans[step.fn])
                continue
            # As the record names a call: see PlanSteps and infer_call.
            name = step.fn or (f"step_{step.id}" if kind == "infer" else step.intent) or kind
            known = self._past.get((name, kind))
            if known is not None:
                yield _Taken(kind=kind, calls=known.attempts, picousd=known.picousd)
            elif kind == "infer":
                yield _Taken(kind=kind, calls=1, picousd=self._cost(step, compiled.outputs[number]))
            else:
                yield _Taken(kind=kind, calls=1, picousd=0 if kind == "command" else None)

    def _cost(self, step: Step, returns: Codec[object] | None) -> int | None:
        """Of one call that is accepted at once."""
        function = self._functions.steps.get(step.fn)
        call = function if isinstance(function, Infer) else None
        named = step.model if isinstance(step.model, str) else step.model[0]
        of_call = call.models if call is not None else ()
        model = named or (of_call[0] if of_call else self._model)
        price = None if model is None else self._price_of(model)
        codec = returns if call is None else call.signature.returns
        if price is None or codec is None:
            return None
        told = step.intent if call is None else call.prompt.instructions
        given = msgspec.json.encode(step.inputs).decode()
        size = len(told) + len(given) + REFERENCE_BYTES * given.count('"$.') + len(codec.wire_schema)
        most = codec.max_output_tokens or DEFAULT_OUTPUT_TOKENS
        answer = max(codec.min_output_tokens, min(most, DEFAULT_OUTPUT_TOKENS) // OUTPUT_SHARE)
        return price.cost(Usage(input_tokens=size // BYTES_PER_TOKEN, output_tokens=answer))
