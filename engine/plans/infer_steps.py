"""An `infer` step: a registered function's call, or one made of the step's own intent, with what its plan asks besides."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from stratum.contracts.codec import Codec
from stratum.contracts.plans.plan import Step as PlanStep
from stratum.contracts.violation import Violation
from stratum.engine.infer import DEFAULT_RETRIES, Infer
from stratum.engine.infer_call import InferCall
from stratum.engine.place import Place
from stratum.engine.plans.values import Values
from stratum.engine.run import PlannedStep
from stratum.engine.step import Step

Check = Callable[[Any], Awaitable[list[Violation]]]


class PlanCondition:
    """What a plan asks of a call's answer, as one of its postconditions."""

    inline = False

    def __init__(self, check: Check) -> None:
        self._check = check

    async def check(
        self, result: object, arguments: Mapping[str, object], on_leak: Callable[[str], object] | None = None
    ) -> Sequence[Violation]:
        return await self._check(result)


def infer_call(
    step: PlanStep,
    function: Step[Any, Any] | None,
    *,
    returns: Codec[Any],
    values: Values,
    place: Place,
    planned: PlannedStep,
    check: Check | None,
) -> InferCall[Any]:
    """The step's call, ready to be made.

    Raises:
        ContractViolation: an argument is not what the function takes.
    """
    call, arguments = bound_call(step, function, returns=returns, values=values, check=check)
    return InferCall(call, arguments, place, planned=planned)


def bound_call(
    step: PlanStep, function: Step[Any, Any] | None, *, returns: Codec[Any], values: Values, check: Check | None = None
) -> tuple[Infer[Any, Any], dict[str, Any]]:
    """What the step calls, with what its plan asks besides, and the arguments. Raises as `infer_call`."""
    if isinstance(function, Infer):
        codecs = {name: parameter.codec for name, parameter in function.signature.parameters.items()}
        arguments = function.signature.bind((), values.arguments(step, codecs))
        retries = function.retries if step.retries is None else step.retries
    else:
        arguments = {name: _text(value) for name, value in values.plain_arguments(step).items()}
        function = _of_intent(step, returns, list(arguments))
        retries = DEFAULT_RETRIES if step.retries is None else step.retries
    call = function.varied(
        retries=retries,
        budget=step.budget or function.budget,
        model=step.model,
        service_tier=step.service_tier,
        also=[] if check is None else [PlanCondition(check)],
    )
    return call, arguments


def _of_intent(step: PlanStep, returns: Codec[Any], inputs: Sequence[str]) -> Infer[Any, Any]:
    """A call that nobody has written as a function: the step's intent, its inputs as texts, its output."""

    def function() -> None: ...

    function.__name__ = function.__qualname__ = step.fn or f"step_{step.id}"
    function.__annotations__ = {**dict.fromkeys(inputs, str), "return": returns.annotation}
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what inspect looks for first
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=str) for name in inputs],
        return_annotation=returns.annotation,
    )
    return Infer(
        function,
        # Braces in a plan's words are no fields: its inputs are appended, not inserted.
        intent=step.intent.replace("{", "{{").replace("}", "}}"),
        context=None,
        ensure=None,
        given=None,
        model=None,
        temperature=None,
        budget=None,
        retries=DEFAULT_RETRIES,
        max_output_tokens=None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
