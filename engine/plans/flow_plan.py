"""`plan_of_flow`: a flow as a plan, by following it once with outputs that have no values yet.

Nothing is called: each step that the flow calls becomes a step of the plan, and waits for what it is passed. That works
where the flow does the same whatever its steps return; where it looks at a result, it is refused with the line.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import outcome
import trio
from outcome import Outcome

from stratum.contracts.error_groups import unwrapped
from stratum.contracts.errors import ContractDefinitionError, NoProvider
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.engine.plans.builder import PlanBuilder
from stratum.engine.plans.handle import Output
from stratum.engine.providers.absent import Absent
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
        self.steps: dict[str, Step[Any, Any]] = {}
        """That it called, by name."""

    async def call(self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A step is called: one more step of the plan, and what it will return."""
        if step.kind == "flow":
            return await step.function(**step.signature.names(args, kwargs))
        handle = self._builder.step(step, *args, **kwargs)
        self.steps.setdefault(step.signature.name, step)
        return Output(f"$.steps.{handle.id}.output", self._refuse)

    async def follow(self, arguments: Mapping[str, Any]) -> object:
        """What the flow returns, called with these arguments."""
        from stratum.engine.runtime import open_runtime  # which holds everything else

        nobody = Absent(NoProvider(message="a flow that is shown as a plan calls nothing", fix="run it"))
        token = tracing.set(self)
        try:
            # For what stands around its calls, as `parallel` does.
            async with open_runtime(provider=nobody, journal=None):
                return await self._flow.function(**arguments)
        finally:
            tracing.reset(token)

    def plan(self, returned: object) -> ExecutionPlan:
        """Of the flow, once it was followed."""
        return self._builder.build(returns=returned if isinstance(returned, Output) else None)

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
    tracer = Tracer(flow)
    returned = _followed(tracer, arguments)
    if not isinstance(returned, Output):
        raise ContractDefinitionError(
            owner=flow.signature.name,
            problem="it returns something that is not one step's output, or a part of one",
            fix="have a @compute step put together what it returns",
        )
    return tracer.plan(returned)


def steps_of_flow(flow: Flow[..., Any], arguments: Mapping[str, Any]) -> tuple[ExecutionPlan, Sequence[Step[Any, Any]]]:
    """A plan of the steps that the flow calls, whatever it makes of what they return; and the steps themselves.

    Raises as `plan_of_flow`.
    """
    tracer = Tracer(flow)
    return tracer.plan(_followed(tracer, arguments)), list(tracer.steps.values())


def _followed(tracer: Tracer, arguments: Mapping[str, Any]) -> object:
    ended: list[Outcome[object]] = []

    def main() -> None:
        ended.append(outcome.capture(trio.run, tracer.follow, arguments))

    # A thread of its own: there may be an event loop here already.
    thread = threading.Thread(target=main, name="plan of a flow")
    thread.start()
    thread.join()
    try:
        return ended[0].unwrap()
    except BaseExceptionGroup as group:
        raise unwrapped(group) from None
