"""`PlainCall`: a step that only computes, on the event loop, and of which nothing else is asked.

They are most of a large plan, and cost so little that a record, a scope and a task switch each would be several times the
step. One is called where it is ready, and recorded with hundreds of others; all else goes the long way, failures too, and
those that turn out to call other steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from stratum.contracts.codec import Codec
from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.plan import Step
from stratum.engine.compute import Compute
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.values import Values


def plain_calls(compiled: CompiledPlan, functions: Functions) -> list[PlainCall | None]:
    """By step: how to call it; `None` if it is not plain."""
    calls = {
        name: PlainCall(function)
        for name in compiled.functions
        if isinstance(function := functions.steps.get(name), Compute) and function.inline
    }
    if not calls:
        return [None] * len(compiled.plan.steps)
    return [calls.get(step.fn) if bare else None for step, bare in zip(compiled.plan.steps, compiled.bare, strict=True)]


class PlainCall:
    """One function."""

    def __init__(self, step: Compute[Any, Any]) -> None:
        self.awaited = step.is_async
        self.checked = step.signature.checked
        """What it returned; raises `ContractViolation` where that is not of its type."""
        self.encode = step.signature.returns.encode
        self._function: Callable[..., Any] = step.function
        self._signature = step.signature
        self._codecs: dict[str, Codec[Any]] = {
            name: parameter.codec for name, parameter in step.signature.parameters.items()
        }

    def arguments(self, step: Step, values: Values) -> dict[str, Any]:
        """What the step gives it.

        Raises:
            ContractViolation: an argument is not of its type.
        """
        if not self._codecs:
            return {}
        return self._signature.bind((), values.arguments(step, self._codecs))

    @trio.lowlevel.disable_ki_protection
    def result(self, arguments: dict[str, Any]) -> Any:
        """What the function returns, of one that is not `awaited`."""
        return self._function(**arguments)

    @trio.lowlevel.disable_ki_protection
    async def result_awaited(self, arguments: dict[str, Any]) -> Any:
        """The same of one that is."""
        return await self._function(**arguments)
