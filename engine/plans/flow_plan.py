"""`plan_of_flow`: a flow as a plan, by following it once with outputs that have no values yet.

Nothing is called: each step that the flow calls becomes a step of the plan, and waits for what it is passed. That works
where the flow does the same whatever its steps return; where it looks at a result, it is refused with the line.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

import trio

from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.plan import ExecutionPlan
from stratum.engine.plans.builder import PlanBuilder
from stratum.engine.plans.handle import Output
from stratum.engine.step import tracing

if TYPE_CHECKING:
    from stratum.engine.flow import Flow
    from stratum.engine.step import Step


class Tracer:
    """Follows one flow."""

    def __init__(self, flow: Flow[..., Any]) -> None:
        self._flow = flow
        self._file = flow.function.__code__.co_filename
        self._builder = PlanBuilder(flow.signature.name, budget=flow.budget)

    async def call(self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A step is called: one more step of the plan, and what it will return."""
        if step.kind == "flow":
            return await step.function(**step.signature.names(args, kwargs))
        handle = self._builder.step(step, *args, **kwargs)
        return Output(f"$.steps.{handle.id}.output", self._refuse)

    async def follow(self, arguments: Mapping[str, Any]) -> ExecutionPlan:
        """The plan of the flow, called with these arguments."""
        token = tracing.set(self)
        try:
            returned = await self._flow.function(**arguments)
        finally:
            tracing.reset(token)
        if not isinstance(returned, Output):
            raise ContractDefinitionError(
                owner=self._flow.signature.name,
                problem="it returns something that is not one step's output, or a part of one",
                fix="have a @compute step put together what it returns",
            )
        return self._builder.build(returns=returned)

    def _refuse(self, what: str) -> NoReturn:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename != self._file:
            frame = frame.f_back
        raise ContractDefinitionError(
            owner=self._flow.signature.name,
            problem=f"line {frame.f_lineno} asks {what} of a result, so what the flow does depends on it: it cannot be shown as a plan",
            fix="move that into a @compute step, or run it as a flow",
        )


def plan_of_flow(flow: Flow[..., Any], arguments: Mapping[str, Any]) -> ExecutionPlan:
    """The flow's plan for these arguments.

    Raises:
        ContractDefinitionError: what the flow does depends on what its steps return.
    """
    found: list[ExecutionPlan | BaseException] = []

    def main() -> None:
        try:
            found.append(trio.run(Tracer(flow).follow, arguments))
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            found.append(error)

    # A thread of its own: there may be an event loop here already.
    thread = threading.Thread(target=main, name="plan of a flow")
    thread.start()
    thread.join()
    (outcome,) = found
    if isinstance(outcome, BaseExceptionGroup) and len(outcome.exceptions) == 1:
        outcome = cast(BaseException, outcome.exceptions[0])
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
