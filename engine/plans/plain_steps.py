"""`PlainSteps`: steps that only compute, on the event loop, and of which nothing else is asked.

They are most of a large plan, and cost so little that a record, a scope and a task switch each would be several times the
step. One is called where it is ready, and recorded with hundreds of others; all else goes the long way, failures too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from time import perf_counter_ns
from typing import Any

from stratum.contracts.codec import Codec
from stratum.contracts.plan import Step
from stratum.engine.compute import Compute
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plan_log import PlanLog
from stratum.engine.plans.values import Values


class PlainSteps:
    """Those of one plan."""

    def __init__(self, functions: Functions, *, apart: Collection[int]) -> None:
        """`apart` are steps that others send violations to, or that stand in for another."""
        computes = {
            name: step
            for name, step in functions.steps.items()
            if isinstance(step, Compute) and step.inline and not inspect.iscoroutinefunction(step.function)
        }
        self._calls: dict[str, PlainCall] = {name: PlainCall(step) for name, step in computes.items()}
        self._apart = frozenset(apart)

    def call(self, number: int, step: Step) -> PlainCall | None:
        """How to call the step; `None` if it is not plain."""
        call = self._calls.get(step.fn)
        if call is None or number in self._apart:
            return None
        asks = step.ensure or step.when or step.on_fail or step.repeat or step.budget or step.command or step.gate
        return None if asks or step.kind not in (None, "compute") else call


class PlainCall:
    """One function."""

    def __init__(self, step: Compute[Any, Any]) -> None:
        self._function: Callable[..., Any] = step.function
        self._signature = step.signature
        self._codecs: dict[str, Codec[Any]] = {
            name: parameter.codec for name, parameter in step.signature.parameters.items()
        }
        self._takes_nothing = not self._codecs

    def __call__(self, id: str, number: int, step: Step, *, values: Values, log: PlanLog) -> None:
        """Call it, and keep and record what it returns.

        Raises:
            ContractViolation: an argument or the result is not of its type. And whatever the function raises.
        """
        started_ns = perf_counter_ns()
        arguments: dict[str, Any] = {}
        if not self._takes_nothing:
            arguments = self._signature.bind((), values.arguments(step, self._codecs))
        result = self._signature.checked(self._function(**arguments))
        output = self._signature.returns.encode(result)
        values.set(number, result)
        log.step_done(id, output, duration_us=(perf_counter_ns() - started_ns) // 1000)
