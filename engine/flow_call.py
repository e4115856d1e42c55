"""`FlowCall`: one invocation of a flow, as a run of its own or as a step of the flow around it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import trio

from stratum.contracts.budget import Budget
from stratum.contracts.error_groups import unwrapped
from stratum.contracts.errors import RunError
from stratum.contracts.messages import CancelRun, Message
from stratum.contracts.records import Diverged, LimitRaised, RunResumed, RunStarted
from stratum.engine.envelope import Envelope, open_envelope
from stratum.engine.history import History
from stratum.engine.place import Place, current_place
from stratum.engine.run import Run
from stratum.engine.step_record import StepRecord

if TYPE_CHECKING:
    from stratum.engine.flow import Flow

R = TypeVar("R")

Raised = Budget | Mapping[str, Budget] | None
"""New limits for a run that goes on, what it has used included; by step id where they are not the run's own."""


class FlowCall(Generic[R]):
    """One invocation of a flow that stands at `place`."""

    def __init__(self, flow: Flow[..., R], place: Place) -> None:
        self._flow = flow
        self._signature = flow.signature
        self._place = place

    async def perform(self, arguments: dict[str, Any]) -> R:
        """Run it: inside another flow as a step of that, else as a run."""
        if self._place.run.resumable:
            return await self._nested(arguments)
        runtime = self._place.run.runtime
        runtime.hold.refuse(self._signature.name)
        run = Run(runtime, id=uuid.uuid4().hex[:12])
        run.append(self._started(run, arguments))
        return await self._outermost(arguments, run)

    @trio.lowlevel.enable_ki_protection
    async def resume(self, run_id: str, *, raised: Raised, by: str) -> R:
        """Go on with an earlier run; see `Flow.resume`."""
        runtime = self._place.run.runtime
        runtime.hold.refuse(f"run {run_id}")
        await runtime.journal.claim(run_id)
        try:
            history = History(await runtime.journal.read(run_id))
            assert history.started is not None, "claim() refuses a run without a beginning"
            arguments = self._signature.decode(bytes(history.started.inputs))
            raises = limits_raised(raised, history, run=run_id, by=by)
            done = history.finished if history.finished and history.finished.state == "succeeded" else None
        except BaseException:
            await runtime.journal.release(run_id)
            raise
        if done is not None:
            await runtime.journal.release(run_id)
            return self._signature.returns.recall(bytes(done.output))
        run = Run(runtime, id=run_id, history=history)
        run.append(
            RunResumed(elapsed_ms=history.elapsed_ms, session=runtime.session, code_digest=self._flow.code_digest)
        )
        for raise_ in raises:
            if history.raise_limits(raise_):
                run.append(raise_)
        return await self._outermost(arguments, run)

    async def _outermost(self, arguments: dict[str, Any], run: Run) -> R:
        try:
            with (
                open_envelope(
                    run,
                    label=self._signature.name,
                    path="",
                    parent=self._place.envelope,
                    budget=self._flow.budget,
                ) as envelope,
                run.runtime.mail.read_by(partial(_obey, envelope), run=run.id),
            ):
                result = await self._body(arguments, Place(run=run, envelope=envelope, flow_id=run.id))
        except BaseException as error:
            run.finish_badly(error)
            raise
        self._report_divergence(run)
        await run.commit_result(run.finish(self._signature.returns.record(result)))
        return result

    async def _nested(self, arguments: dict[str, Any]) -> R:
        record = StepRecord(self._flow, arguments, self._place)
        if record.recorded is not None:
            return self._signature.returns.recall(record.recorded)
        try:
            with open_envelope(
                self._place.run,
                label=record.id,
                path=record.id,
                parent=self._place.envelope,
                budget=self._flow.budget,
            ) as envelope:
                inner = msgspec.structs.replace(
                    self._place, envelope=envelope, step=record.id, flow_id=uuid.uuid4().hex[:12]
                )
                result = await self._body(arguments, inner)
        except BaseException as error:
            record.failed(error)
            raise
        record.completed(result)
        return result

    @trio.lowlevel.disable_ki_protection
    async def _body(self, arguments: dict[str, Any], place: Place) -> R:
        token = current_place.set(place)
        try:
            return self._signature.checked(await self._flow.body(arguments))
        except BaseExceptionGroup as group:
            error = unwrapped(group)
            if error is group:
                raise  # not from itself: whoever follows causes would never come to an end
            raise error from group
        finally:
            current_place.reset(token)

    def _started(self, run: Run, arguments: dict[str, Any]) -> RunStarted:
        return RunStarted(
            session=run.runtime.session,
            name=self._signature.name,
            target=self._flow.target,
            inputs=msgspec.Raw(self._signature.encode(arguments)),
            code_digest=self._flow.code_digest,
        )

    def _report_divergence(self, run: Run) -> None:
        unused = run.history.unused()
        if unused:
            assert run.history.started is not None
            changed = run.history.started.code_digest != self._flow.code_digest
            run.append(Diverged(elapsed_ms=run.elapsed_ms, calls=unused, code_changed=changed))


def _obey(envelope: Envelope, message: Message) -> None:
    if isinstance(message, CancelRun):
        envelope.stop(message.told)


def limits_raised(raised: Raised, history: History, *, run: str, by: str) -> list[LimitRaised]:
    """What a person, `by`, raises, as records.

    Raises:
        RunError: a step that never had a budget of its own.
    """
    by_scope = raised if isinstance(raised, Mapping) else {} if raised is None else {"": raised}
    for scope in by_scope:
        if scope and scope not in history.ledger.scopes:
            others = ", ".join(filter(None, history.ledger.scopes)) or "none"
            raise RunError(
                run=run, problem=f"{scope!r} had no budget of its own", fix=f"name a step that has one: {others}"
            )
    return [
        LimitRaised(elapsed_ms=history.elapsed_ms, scope=scope, limits=budget.limits, by=by)
        for scope, budget in by_scope.items()
    ]
