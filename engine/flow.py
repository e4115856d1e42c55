"""`@flow`: a durable, budgeted scope around steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from stratum.contracts.budget import Budget
from stratum.contracts.digest import digest12
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.signature import Signature
from stratum.engine.budget_argument import refuse_other_than_budget
from stratum.engine.place import current_place
from stratum.engine.step import Step

if TYPE_CHECKING:
    from stratum.contracts.plans.plan import ExecutionPlan
    from stratum.engine.flow_call import Raised
    from stratum.engine.place import Place

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Step[P, R], Generic[P, R]):
    """A flow: its calls share one budget and one run, which can be resumed."""

    kind = "flow"

    def __init__(self, function: Callable[P, Coroutine[Any, Any, R]], *, budget: Budget | None) -> None:
        super().__init__(function, Signature.of(function, called_by_name=True))
        refuse_other_than_budget(self.signature.name, budget)
        self.budget = budget
        self.target = f"{inspect.getsourcefile(function) or function.__module__}:{function.__qualname__}"
        self.code_digest = digest12(_source(function).encode())

    async def perform(self, arguments: dict[str, Any], place: Place) -> R:
        from stratum.engine.flow_call import FlowCall  # what only a call needs

        return await FlowCall(self, place).perform(arguments)

    async def body(self, arguments: dict[str, Any]) -> R:
        """Call the function, where it is to run: beside the flow that calls it."""
        place = current_place.get()
        assert place is not None, "a flow's function is called at its place"
        if place.away is not None:
            return cast("R", await place.away.carry_out(self, arguments, place, retry=True))
        return cast("R", await self.function(**arguments))

    def plan(self, *args: P.args, **kwargs: P.kwargs) -> ExecutionPlan:
        """What the flow would do with these arguments, as a plan: to be shown, approved and run as one. Nothing is called.

        Steps wait for what they are passed, and for nothing else.

        Raises:
            ContractDefinitionError: what the flow does depends on what its steps return; names the line.
        """
        from stratum.engine.plans.flow_plan import plan_of_flow  # what only a plan needs

        return plan_of_flow(self, self.signature.bind(args, kwargs))

    async def resume(self, run_id: str, place: Place, *, raised: Raised = None, by: str = "") -> R:
        """Go on with a run of this flow that ended or was killed; what completed is not done again.

        The run's budget keeps counting; `raised` gives it new limits, which include what it has used. Given by step id
        (`{"summarize#1": Budget(usd=0.2)}`), they are those of budgets within the run. `by` is who gave them, for the record.

        Raises:
            UnknownRun, RunLocked: there is no such run, or another process is running it.
        """
        from stratum.engine.flow_call import FlowCall

        return await FlowCall(self, place).resume(run_id, raised=raised, by=by)


@overload
def flow(function: Callable[P, Coroutine[Any, Any, R]], /) -> Flow[P, R]: ...
@overload
def flow(*, budget: Budget | None = None) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Flow[P, R]]: ...
def flow(function: Callable[..., Any] | None = None, /, *, budget: Budget | None = None) -> Any:
    """Make an `async def` a flow: its calls share `budget` and one run in the journal.

    Called inside another flow it is a step of that flow, and draws from both budgets. A run that was killed goes on
    with `stratum resume`: calls that completed give their recorded results.

    Raises:
        BudgetExceeded: this flow's budget ran out; has what completed and what remains.
    """

    if function is not None and not callable(function):
        raise ContractDefinitionError(
            owner="flow", problem=f"{function!r} is not a function", fix="write @flow, or @flow(budget=...)"
        )

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Flow[P, R]:
        if not inspect.iscoroutinefunction(function):
            raise ContractDefinitionError(
                owner=getattr(function, "__qualname__", repr(function)),
                problem="a flow awaits its steps, and this is not an async def",
                fix="write `async def`, or use @compute for a plain function",
            )
        return Flow(function, budget=budget)

    return decorate if function is None else decorate(function)


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""
