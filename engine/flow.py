"""`@flow`: a durable, budgeted scope around steps."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar, overload

import msgspec

from stratum.actors.ledger import Limits
from stratum.contracts.budget import Budget
from stratum.contracts.digest import digest12
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.records import Diverged, LimitRaised, RunFinished, RunResumed, RunStarted
from stratum.contracts.signature import Signature
from stratum.engine.envelope import open_envelope
from stratum.engine.history import History
from stratum.engine.place import Place, current_place
from stratum.engine.run import Run
from stratum.engine.step import Step
from stratum.engine.step_record import StepRecord

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Step[P, R], Generic[P, R]):
    """A flow: its calls share one budget and one run, which can be resumed."""

    kind = "flow"

    def __init__(self, function: Callable[P, Coroutine[Any, Any, R]], *, budget: Budget | None) -> None:
        super().__init__(function, Signature.of(function))
        self.budget = budget
        self.target = f"{inspect.getsourcefile(function) or function.__module__}:{function.__qualname__}"
        self.code_digest = digest12(_source(function).encode())

    async def perform(self, arguments: dict[str, Any], place: Place) -> R:
        if place.run.resumable:
            return await self._nested(arguments, place)
        run = Run(place.run.runtime, id=uuid.uuid4().hex[:12])
        return await self._outermost(arguments, place, run)

    async def resume(self, run_id: str, place: Place, *, raised: Budget | None = None) -> R:
        """Go on with a run of this flow that ended or was killed; what completed is not done again.

        The run's budget keeps counting; `raised` gives it new limits, which include what it has used.

        Raises:
            UnknownRun, RunLocked: there is no such run, or another process is running it.
        """
        runtime = place.run.runtime
        await runtime.journal.claim(run_id)
        history = History(await runtime.journal.read(run_id))
        assert history.started is not None, "claim() refuses a run without a beginning"
        arguments = self.signature.decode(bytes(history.started.inputs))
        if history.finished is not None and history.finished.state == "succeeded":
            return self.signature.returns.decode(bytes(history.finished.output))
        run = Run(runtime, id=run_id, history=history)
        run.append(
            RunResumed(elapsed_ms=history.elapsed_ms, session=runtime.session, code_digest=self.code_digest),
        )
        if raised is not None:
            run.append(LimitRaised(elapsed_ms=history.elapsed_ms, scope="", limits=raised.limits))
        return await self._outermost(arguments, place, run, raised=raised)

    async def _outermost(self, arguments: dict[str, Any], place: Place, run: Run, *, raised: Budget | None = None) -> R:
        await run.runtime.ready()
        if run.history.started is None:
            run.append(self._started(run, arguments))
        try:
            with open_envelope(
                run,
                label=self.signature.name,
                path="",
                parent=place.envelope,
                parent_scope=place.envelope.scope,
                budget=run.history.budget(self.budget, raised),
            ) as envelope:
                if raised is not None:
                    run.runtime.ledger.raise_limits(envelope.scope, Limits.of(raised))
                inner = Place(run=run, envelope=envelope, step="", flow_id=run.id)
                result = await self._body(arguments, inner)
        except BaseException as error:
            run.finish_badly(error)
            raise
        self._report_divergence(run)
        output = msgspec.Raw(self.signature.returns.encode(result))
        ticket = run.append(RunFinished(elapsed_ms=run.elapsed_ms, state="succeeded", output=output))
        await run.commit_result(ticket)
        return result

    async def _nested(self, arguments: dict[str, Any], place: Place) -> R:
        record = StepRecord(self, arguments, place)
        if record.recorded is not None:
            return self.signature.returns.decode(record.recorded)
        try:
            with open_envelope(
                place.run,
                label=record.id,
                path=record.id,
                parent=place.envelope,
                parent_scope=place.envelope.scope,
                budget=self.budget,
            ) as envelope:
                inner = replace(place, envelope=envelope, step=record.id, flow_id=uuid.uuid4().hex[:12])
                result = await self._body(arguments, inner)
        except BaseException as error:
            record.failed(error)
            raise
        record.completed(result)
        return result

    async def _body(self, arguments: dict[str, Any], place: Place) -> R:
        token = current_place.set(place)
        try:
            return self.signature.returns.validate(await self.function(**arguments))
        except BaseExceptionGroup as group:
            raise unwrapped(group) from group
        finally:
            current_place.reset(token)

    def _started(self, run: Run, arguments: dict[str, Any]) -> RunStarted:
        return RunStarted(
            session=run.runtime.session,
            name=self.signature.name,
            target=self.target,
            inputs=msgspec.Raw(self.signature.encode(arguments)),
            code_digest=self.code_digest,
        )

    def _report_divergence(self, run: Run) -> None:
        unused = run.history.unused()
        if unused:
            assert run.history.started is not None
            changed = run.history.started.code_digest != self.code_digest
            run.append(Diverged(elapsed_ms=run.elapsed_ms, calls=unused, code_changed=changed))


def unwrapped(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error itself where a group has only one: users write `except BudgetExceeded`."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@overload
def flow(function: Callable[P, Coroutine[Any, Any, R]], /) -> Flow[P, R]: ...
@overload
def flow(*, budget: Budget | None = None) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Flow[P, R]]: ...
def flow(function: Callable[..., Any] | None = None, /, *, budget: Budget | None = None) -> Any:
    """Make an `async def` a flow: its calls share `budget` and one run in the journal.

    Called inside another flow it is a step of that flow, and draws from both budgets. A run that was killed goes on
    with `stratum resume`: calls that completed give their recorded results.

    Raises (when called):
        BudgetExceeded: this flow's budget ran out; has what completed and what remains.
    """

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
