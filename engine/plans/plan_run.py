"""`PlanRun`: a plan's run that is live in this process: asked for its status, told of reports and answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from stratum.actors.ledger import Limits
from stratum.contracts.budget import Budget
from stratum.contracts.error_groups import unwrapped
from stratum.contracts.expressions.evidence import Source
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.errors import RunCancelled, StepNotReady
from stratum.contracts.plans.status import PlanState, PlanStatus, Verdict
from stratum.contracts.price import Usage
from stratum.contracts.records import LimitRaised, Reported
from stratum.engine.envelope import Envelope, open_envelope
from stratum.engine.place import Place
from stratum.engine.plans.approval.policy import Policy
from stratum.engine.plans.askings import Askings, Decision
from stratum.engine.plans.case import Judge
from stratum.engine.plans.clock import Clock
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.handouts import Handout, Handouts
from stratum.engine.plans.plan_log import PlanLog
from stratum.engine.plans.plan_view import ShownSteps, live_status
from stratum.engine.plans.steps import PlanSteps
from stratum.engine.plans.work_trees.workspace import Workspace

if TYPE_CHECKING:
    from stratum.engine.runtime import Runtime


class PlanRun:
    """A plan at work in this process, in a task of its own until it has ended. Made by `Plans.start`."""

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
        self.handouts = Handouts(self)
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
        self._cancelled_because: str | None = None
        self._changed: trio.Event | None = None

    @property
    def state(self) -> PlanState:
        """Of the run as a whole."""
        if self.ended.is_set():
            finished = self.log.past.finished
            return "interrupted" if finished is None else finished.state
        return "paused" if self.clock.stands else "running"

    @property
    def assignments(self) -> Mapping[str, Handout]:
        """By step: what agents are to do now."""
        return self.handouts.due

    @property
    def beginning(self) -> Collection[str]:
        """Agents' steps that have begun and are not handed out yet."""
        return self.handouts.beginning

    @property
    def only_waits(self) -> bool:
        """All that is at work is with agents or people: no other step becomes ready before one of them has answered."""
        return self.clock.busy == len(self.handouts.due)

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
        return await self.handouts.report(reported, usage=usage, model=model)

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
        return await self.handouts.report(reported, usage=usage, model=model)

    def judged(self, step: str, *, ticket: str) -> bool:
        """Whether a report has its verdict: the same report again then waits for nothing but the disk."""
        return self.handouts.judged(step, ticket=ticket)

    def take_back(self, step: str, *, ticket: str) -> None:
        """Whoever reported a step wants no verdict any more: its verification stops, and the same ticket waits for another report.

        Does nothing where another call waits for the verdict, or the verdict is there. What was spent until now stays booked.
        """
        self.handouts.take_back(step, ticket=ticket)

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
            if self.envelope is not None:
                self.envelope.stop(reason)

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

    async def work(self) -> None:
        """Do the plan; whatever ends it is kept for `result`. Cancelled from outside, the run can be gone on with."""
        try:
            with self._runtime.place.envelope.guest():
                self.output = await self._work()
        except Exception as error:  # noqa: BLE001 - raised by `result`: a run that failed must not end its siblings
            self.failure = error
            self.log.finish_badly(error)
        except BaseException:
            self.failure = RunCancelled(run=self.id, problem="its process is ending")
            await self.log.let_go()
            raise
        finally:
            self.ended.set()
            self.touch()
            self.handouts.close()

    async def _work(self) -> Any:
        if self._cancelled_because is not None:
            raise RunCancelled(run=self.id, problem=self._cancelled_because)
        place = self._runtime.place
        with open_envelope(
            self.log,
            label=self.compiled.plan.goal or "plan",
            path="",
            parent=place.envelope,
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
            output = await steps.result()
        except BaseExceptionGroup as group:
            stopped, _ = group.split(trio.Cancelled)
            error = unwrapped(group) if stopped is None else stopped
            raise error from error.__cause__
        except Exception:
            # Whoever is stopped at the moment at which a step fails is stopped: the failure is recorded, and found on resume.
            await _checkpoint_if_over(steps.place.envelope)
            raise
        await _checkpoint_if_over(steps.place.envelope)
        return output

    def _open_envelope(self) -> Envelope:
        if self.envelope is None or self.ended.is_set():
            raise StepNotReady(run=self.id, step="", problem="the run is not at work")
        return self.envelope


async def _checkpoint_if_over(envelope: Envelope) -> None:
    """The last steps may have taken none since they were stopped, or out of time: which is so once somebody looks."""
    any(around.exhausted for around in envelope.outwards())
    await trio.lowlevel.checkpoint_if_cancelled()
