"""`PlanRun`: a plan's run that is live in this process: asked for its status, told of reports and answers.

All that others ask of a run is here, so that it is a little longer than most.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from stratum.actors.ledger import Amount, Demand, Limits, Refused
from stratum.contracts.budget import Budget
from stratum.contracts.errors import BudgetExceeded
from stratum.contracts.expressions.evidence import Source
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.errors import RunCancelled, StaleTicket, StepNotReady
from stratum.contracts.plans.status import PlanState, PlanStatus, Verdict
from stratum.contracts.price import Usage
from stratum.contracts.records import LimitRaised, Reported, Reserved, Settled
from stratum.engine.envelope import Envelope, Overrun, open_envelope
from stratum.engine.flow_call import unwrapped
from stratum.engine.place import Place
from stratum.engine.plans.approval.policy import Policy
from stratum.engine.plans.askings import Askings
from stratum.engine.plans.case import Judge
from stratum.engine.plans.clock import Clock
from stratum.engine.plans.doers.agent_doer import Handout
from stratum.engine.plans.doers.gate_doer import Decision
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plan_log import PlanLog
from stratum.engine.plans.plan_view import ShownSteps, live_status
from stratum.engine.plans.steps import PlanSteps
from stratum.engine.plans.work_trees.workspace import Workspace

if TYPE_CHECKING:
    from stratum.engine.runtime import Runtime


class PlanRun:
    """Made by `Plans.start`; runs in a task of its own until it has ended."""

    def __init__(
        self,
        runtime: Runtime,
        log: PlanLog,
        compiled: CompiledPlan,
        inputs: Mapping[str, Any],
        *,
        functions: Functions,
        workspace: Workspace,
        sources: Mapping[str, Source],
        judge: Judge,
        policy: Policy,
    ) -> None:
        self.id = log.id
        self.log = log
        self.compiled = compiled
        self.functions = functions
        self.workspace = workspace
        self.sources = sources
        self.judge = judge
        self.policy = policy
        """As it was when the run began, or was gone on with."""
        self.clock = Clock(log)
        self.assignments: dict[str, Handout] = {}
        """By step: what agents are to do now."""
        self.beginning: set[str] = set()
        """Agents' steps that have begun and are not handed out yet: the files are being kept first."""
        self.asking = Askings()
        """By step: the gates that wait for a person."""
        self.version = 0
        self.envelope: Envelope | None = None
        self.steps: PlanSteps | None = None
        self.shown = ShownSteps()
        self.output: Any = None
        self.failure: BaseException | None = None
        self.ended = trio.Event()
        self._runtime = runtime
        self._inputs = inputs
        self._handouts: dict[str, Handout] = {}
        self._scope = trio.CancelScope()
        self._cancelled_because: str | None = None
        self._changed: trio.Event | None = None

    @property
    def state(self) -> PlanState:
        """Of the run as a whole."""
        if self.ended.is_set():
            finished = self.log.past.finished
            return "interrupted" if finished is None else finished.state
        return "paused" if self.clock.stands else "running"

    def status(self) -> PlanStatus:
        """Where it stands now, with what agents and people are asked for."""
        return live_status(self)

    async def changed(self, since: int) -> PlanStatus:
        """Where it stands once its version is above `since`; at once if it is, or if the run has ended."""
        await self.until_changed(since)
        return self.status()

    async def until_changed(self, since: int) -> None:
        """As `changed`, for whoever need not look at every step each time."""
        await trio.lowlevel.checkpoint()
        while self.version <= since and not self.ended.is_set():
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()

    async def report(
        self,
        step: str,
        result: Any,
        *,
        ticket: str,
        usage: Usage | None = None,
        model: str = "",
        own_tree: bool = False,
    ) -> Verdict:
        """An agent's result for a step that it was handed out: checked, and told what came of that.

        The same report again gets the same verdict. `usage` is what the step took, if that was measured; with
        `own_tree` it was done in a work tree of its own, and what it changed was held against its files there.

        Raises:
            StepNotReady: nobody was asked to do this step.
            StaleTicket: the hand-out no longer counts, or was reported with another result.
            RunCancelled, BudgetExceeded: the run ended before the result was judged.
            TypeError: the result is no JSON value.
        """
        reported = Reported(
            elapsed_ms=self.log.elapsed_ms,
            call=step,
            ticket=ticket,
            body=msgspec.Raw(msgspec.json.encode(result)),
            own_tree=own_tree,
        )
        return await self._report(reported, usage=usage, model=model)

    async def fail(
        self,
        step: str,
        reason: str,
        *,
        ticket: str,
        usage: Usage | None = None,
        model: str = "",
        conflict: bool = False,
    ) -> Verdict:
        """The agent gives up on this attempt; the step is handed out again while it has retries. Raises as `report`.

        With `conflict`, because its changes conflict with those of another step: if that is so to the end, the run fails, whatever
        its plan could do without.
        """
        reported = Reported(
            elapsed_ms=self.log.elapsed_ms,
            call=step,
            ticket=ticket,
            body=msgspec.Raw(b"null"),
            given_up=reason or "no reason given",
            conflict=conflict,
        )
        return await self._report(reported, usage=usage, model=model)

    def take_back(self, step: str, *, ticket: str) -> None:
        """Whoever reported a step wants no verdict any more: its verification stops, and the same ticket waits for another report.

        Does nothing where another call waits for the verdict, or the verdict is there. What was spent until now stays booked.
        """
        handout = self._handouts.get(ticket)
        if handout is None or handout.assignment.step != step or handout.waiting or handout.verdict is not None:
            return
        if handout.report is not None:
            handout.verification.cancel(reason="the report was taken back")

    def answer(self, step: str, decision: Decision, *, by: str, comment: str = "") -> None:
        """A person's answer to a gate.

        Raises:
            StepNotReady: no such gate waits, or it does not offer this.
        """
        asking = self.asking.get(step)
        if asking is None or asking.answered.is_set():
            raise StepNotReady(run=self.id, step=step, problem="no gate of this name waits for an answer")
        if decision not in asking.question.options:
            options = ", ".join(asking.question.options)
            raise StepNotReady(
                run=self.id, step=step, problem=f"{decision!r} is not offered", fix=f"answer one of: {options}"
            )
        asking.answer = decision, by, comment
        asking.answered.set()

    def cancel(self, reason: str) -> None:
        """Stop it; what is done stays done, and it can be gone on with."""
        if self._cancelled_because is None and not self.ended.is_set():
            self._cancelled_because = reason
            self._scope.cancel(reason=reason)

    def raise_limits(self, budget: Budget, *, by: str) -> None:
        """A person gives the plan new limits while it runs; they include what it has used."""
        envelope = self._open_envelope()
        self.log.append(LimitRaised(elapsed_ms=self.log.elapsed_ms, scope="", limits=budget.limits, by=by))
        self._runtime.ledger.raise_limits(envelope.scope, Limits.of(budget))
        if budget.ms is not None:
            self.clock.extend(budget.seconds - self.log.elapsed_ms / 1000)
        self.touch()

    async def result(self) -> Any:
        """What the plan returns, once it has ended; as JSON values.

        Raises:
            PlanFailed, BudgetExceeded, RunCancelled: how it ended otherwise.
        """
        await self.ended.wait()
        if self.failure is not None:
            raise self.failure
        return self.output

    def touch(self) -> None:
        """Something changed: whoever waits for that is woken."""
        self.version += 1
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def hand_out(self, handout: Handout) -> None:
        """An agent is to do this now."""
        self.assignments[handout.assignment.step] = handout
        self.beginning.discard(handout.assignment.step)
        self._handouts[handout.assignment.ticket] = handout
        self.touch()

    async def admit(self, envelope: Envelope) -> None:
        """Before an agent begins: in a budget that is overdrawn, perhaps before the run was resumed, nobody does."""
        for scope in envelope.scope.chain:
            if scope.overdrawn is not None:
                owner = envelope.owner(scope)
                owner.exhaust(Refused(scope, scope.overdrawn, requested=0))
                await owner.stopped.wait()
                await trio.sleep_forever()

    def book(self, envelope: Envelope, call: str, *, usage: Usage, model: str) -> int | None:
        """Book what an agent's step took, in picodollars; `None` where its model's price is not known.

        Nothing was reserved: an agent's spend is known when it is over. It may overdraw the budget, which then ends.
        """
        ledger, scope = self._runtime.ledger, envelope.scope
        price = self._runtime.price(model) if model else None
        picousd = 0 if price is None else price.cost(usage)
        name = uuid.uuid4().hex[:16]
        held = ledger.try_reserve(scope, Demand(), reservation=name)
        assert held is not None, "nothing always fits in a scope that is open"
        elapsed_ms = self.log.elapsed_ms
        settlement = ledger.settle(held, picousd=picousd, tokens=usage.total_tokens)
        self.log.append(
            Reserved(
                elapsed_ms=elapsed_ms,
                reservation=name,
                scope=scope.path,
                call=call,
                attempt=1,
                model=model,
                picousd=0,
                tokens=0,
            ),
            Settled(
                elapsed_ms=elapsed_ms,
                reservation=name,
                picousd=picousd,
                tokens=usage.total_tokens,
                usage=usage,
                estimated=price is None,
            ),
        )
        for closed in settlement.closed:
            overrun = Overrun(scope=closed, actual=Amount(picousd, usage.total_tokens), reserved=Amount())
            envelope.owner(closed).exhaust(overrun)
        return None if price is None else picousd

    async def work(self) -> None:
        """Do the plan; whatever ends it is kept for `result`. Cancelled from outside, the run can be gone on with."""
        try:
            with self._runtime.place.envelope.guest(), self._scope:
                self.output = await self._work()
            if self._scope.cancelled_caught:
                raise RunCancelled(run=self.id, problem=self._cancelled_because or "")
        except Exception as error:  # noqa: BLE001 - raised by `result`: a run that failed must not end its siblings
            self.failure = error
            self.log.finish_badly(error)
        except BaseException:
            self.failure = RunCancelled(run=self.id, problem="its process is ending")
            await self._let_go()
            raise
        finally:
            self.ended.set()
            self.touch()
            for handout in self._handouts.values():
                handout.judged.set()

    async def _work(self) -> Any:
        place = self._runtime.place
        with open_envelope(
            self.log,
            label=self.compiled.plan.goal or "plan",
            path="",
            parent=place.envelope,
            parent_scope=place.envelope.scope,
            budget=self.compiled.plan.budget,
        ) as envelope:
            self.envelope = envelope
            self.clock.starts(envelope)
            here = Place(run=self.log, envelope=envelope, flow_id=self.id)
            self.steps = PlanSteps(self, self.compiled, inputs=self._inputs, place=here, clock=self.clock)
            output = await self._all_steps(self.steps)
        await self.log.commit_result(self.log.finish(msgspec.json.encode(output)))
        return output

    async def _all_steps(self, steps: PlanSteps) -> Any:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.log.flush_soon)
                output = await steps.result()
                nursery.cancel_scope.cancel(reason="every step has ended")
        except BaseExceptionGroup as group:
            # Who is stopped at the moment at which a step fails is stopped: the failure is recorded, and found on resume.
            stopped, _ = group.split(trio.Cancelled)
            error = unwrapped(group) if stopped is None else stopped
            raise error from error.__cause__
        return output

    async def _report(self, reported: Reported, *, usage: Usage | None, model: str) -> Verdict:
        step = reported.call
        handout = await self._waiting_handout(step, reported.ticket)
        if handout.report is None:
            if self.assignments.get(step) is not handout:
                raise self._void(step)
            handout.report, handout.usage, handout.model = reported, usage, model
            self.log.append(reported)
            handout.reported.set()
        elif (bytes(handout.report.body), handout.report.given_up) != (bytes(reported.body), reported.given_up):
            raise StaleTicket(run=self.id, step=step, problem="it was reported already, with another result")
        handout.waiting += 1
        try:
            await handout.judged.wait()
        finally:
            handout.waiting -= 1
        if handout.verdict is None:
            raise self._void(step)
        await self.log.synced()
        return msgspec.structs.replace(handout.verdict, again=handout.again)

    async def _waiting_handout(self, step: str, ticket: str) -> Handout:
        """The hand-out, once it is out again: its report is being taken back, or the run has just been gone on with."""
        if ticket not in self._handouts:
            await self._handed_out_before(step, ticket)
        handout = self._handout(step, ticket)
        if not handout.verification.cancel_called:
            return handout
        await handout.judged.wait()
        if self._handouts[ticket] is handout:
            raise self._void(step)
        return self._handout(step, ticket)

    async def _handed_out_before(self, step: str, ticket: str) -> None:
        """Wait for a hand-out that keeps its ticket from before the run was stopped; nothing else is waited for."""
        past = self.log.past.by_id.get(step)
        while past is not None and past.handed_out is not None and past.handed_out.ticket == ticket:
            if ticket in self._handouts or self.ended.is_set():
                return
            await self.until_changed(self.version)

    def _handout(self, step: str, ticket: str) -> Handout:
        handout = self._handouts.get(ticket)
        if handout is not None and handout.assignment.step == step:
            return handout
        if step in self.assignments:
            raise StaleTicket(run=self.id, step=step, problem="it was handed out anew, with another ticket")
        raise StepNotReady(run=self.id, step=step, problem="nobody is asked to do it now")

    def _void(self, step: str) -> BaseException:
        """Why a hand-out counts no longer: the run has ended, or the step starts over."""
        if self.failure is not None:
            return self.failure
        return StaleTicket(run=self.id, step=step, problem="it was taken back before its result was judged")

    def _open_envelope(self) -> Envelope:
        if self.envelope is None or self.ended.is_set():
            raise StepNotReady(run=self.id, step="", problem="the run is not at work")
        return self.envelope

    async def _let_go(self) -> None:
        """Stop owning the run, so that another session can go on with it."""
        with trio.CancelScope(shield=True):
            await self.log.let_go()


def ended_as(error: BaseException | None) -> str:
    """The state of a run that ended with this."""
    if error is None:
        return "succeeded"
    if isinstance(error, BudgetExceeded):
        return "exhausted"
    return "cancelled" if isinstance(error, RunCancelled) else "failed"
