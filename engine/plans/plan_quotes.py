"""What the model calls of a plan would reserve, as far as that is known before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.reference import references
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.infer_steps import bound_call
from stratum.engine.plans.values import Values
from stratum.engine.quote import Quote, quote

if TYPE_CHECKING:
    from stratum.engine.runtime import Runtime


def plan_quotes(
    compiled: CompiledPlan, inputs: Mapping[str, Any], *, functions: Functions, runtime: Runtime
) -> Iterator[tuple[str, Quote | None]]:
    """Every step that asks a model, by id; `None` where what it is given is what an earlier step returns.

    Raises:
        ContractViolation: an input is not what a function takes.
        NoProvider: no model is named.
    """
    values = Values(compiled, inputs)
    for number, step in enumerate(compiled.plan.steps):
        if compiled.kinds[number] != "infer":
            continue
        if any(reference.step for _, reference in references(step.inputs, path=step.id)):
            yield step.id, None
            continue
        call, arguments = bound_call(step, functions.steps.get(step.fn), returns=values.codec(number), values=values)
        yield step.id, quote(call, arguments, runtime)
