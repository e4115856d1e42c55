"""What the model calls of a plan would reserve, as far as that is known before it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.reference import references
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.infer_steps import bound_call
from stratum.engine.plans.values import Values
from stratum.engine.pricing.quote import Quote, quote

if TYPE_CHECKING:
    from stratum.engine.runtime import Runtime


def plan_quotes(
    compiled: CompiledPlan, inputs: Mapping[str, Any], *, functions: Functions, runtime: Runtime
) -> Iterator[tuple[str, Quote | str]]:
    """Every step that asks a model, by id; a text says why that is not known yet.

    Raises:
        ContractViolation: an input is not what a function takes.
        NoProvider: no model is named.
    """
    values = Values(compiled, inputs)
    for number, step in enumerate(compiled.plan.steps):
        if any(condition.form == "judge" for condition in step.conditions):
            yield step.id, "is judged in plain English, by a model if there is one"
        if compiled.kinds[number] == "plan" and _asks_a_model(compiled.plans[step.fn]):
            yield step.id, "runs a plan of its own that asks a model"
        if compiled.kinds[number] != "infer":
            continue
        if any(reference.step for _, reference in references(step.inputs, path=step.id)):
            yield step.id, "is given what an earlier step returns"
            continue
        call, arguments = bound_call(step, functions.steps.get(step.fn), returns=values.codec(number), values=values)
        yield step.id, quote(call, arguments, runtime)


def why_nothing(compiled: CompiledPlan) -> str:
    """Why a plan of which `plan_quotes` has nothing reserves nothing."""
    count = len(compiled.plan.steps)
    kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(compiled.kinds).items())
    later = {
        "agent": "what an agent takes is booked once it is known",
        "compute": "what a function calls by itself is reserved when it calls",
    }
    said = "".join(f"; {told}" for kind, told in later.items() if kind in compiled.kinds)
    return f"{'its one step asks no' if count == 1 else f'none of its {count} steps asks a'} model ({kinds}){said}"


def _asks_a_model(compiled: CompiledPlan) -> bool:
    asks = "infer" in compiled.kinds or any(
        condition.form == "judge" for step in compiled.plan.steps for condition in step.conditions
    )
    return asks or any(map(_asks_a_model, compiled.plans.values()))
