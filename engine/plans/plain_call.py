"""`PlainCall`: a function that a plan's plain steps call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from stratum.contracts.codec import Codec
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import Step
from stratum.engine.compute import Compute
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.values import Values


def plain_calls(compiled: CompiledPlan, functions: Functions) -> dict[str, PlainCall]:
    """How to call each function that a plain step, one that is `bare`, may call, by name."""
    return {
        name: PlainCall(function)
        for name in compiled.functions
        if isinstance(function := functions.steps.get(name), Compute) and function.inline
    }


class PlainCall:
    """One function."""

    def __init__(self, step: Compute[Any, Any]) -> None:
        self.awaited = step.is_async
        self._returned = step.signature.returns.recorder(refuse=step.signature.checked)
        self._function: Callable[..., Any] = step.function
        self._signature = step.signature
        self._codecs: dict[str, Codec[Any]] = {
            name: parameter.codec for name, parameter in step.signature.parameters.items()
        }

    # What users wrote is called from here, where Ctrl-C is not held back.
    @trio.lowlevel.disable_ki_protection
    def outcome(self, step: Step, values: Values) -> tuple[Any, bytes]:
        """What the function returns, of one that is not `awaited`, and that as JSON.

        Raises:
            ContractViolation: an argument or the result is not of its type. And whatever the function raises.
        """
        return self._returned(self._function(**self._arguments(step, values)) if self._codecs else self._function())

    @trio.lowlevel.disable_ki_protection
    async def outcome_awaited(self, step: Step, values: Values) -> tuple[Any, bytes]:
        """The same of one that is."""
        function = self._function
        return self._returned(await (function(**self._arguments(step, values)) if self._codecs else function()))

    def _arguments(self, step: Step, values: Values) -> dict[str, Any]:
        return self._signature.bind((), values.arguments(step, self._codecs))
