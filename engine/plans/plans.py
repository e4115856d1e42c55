"""`Plans`: the plans of one project: proposed, edited, approved, started, and gone on with.

Above: the command line, the page, the MCP bridge and Python users. Below: the journal, which has every plan's run; `PlanRun`,
for those that are live here.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec
import trio

from stratum.actors.past_calls import PastCalls
from stratum.contracts.budget import Budget
from stratum.contracts.errors import RunError, UnknownRun
from stratum.contracts.expressions.evidence import Source
from stratum.contracts.messages import AnswerGate, CancelRun, Message, RaiseLimits
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.errors import NotApproved, StepNotReady
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.status import PlanState, PlanStatus
from stratum.contracts.price import Price
from stratum.contracts.records import Approved, RunResumed, RunStarted
from stratum.engine.file_evidence import file_sources
from stratum.engine.flow_call import Raised, limits_raised
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.approval.auto_approval import Ruling, ruling
from stratum.engine.plans.approval.policy import Policy, approves_by_cost, policy_or_problem, read_policy
from stratum.engine.plans.approval.proposal import (
    checked_inputs,
    discard_draft,
    proposed,
    refuse_discarded,
    revise_draft,
    shown_digest,
)
from stratum.engine.plans.case import Judge
from stratum.engine.plans.compiled_plans import CompiledPlans
from stratum.engine.plans.estimate import Estimator
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.judges import default_judge
from stratum.engine.plans.plan_history import PlanHistory
from stratum.engine.plans.plan_log import PlanLog
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plan_view import recorded_status
from stratum.engine.plans.work_trees.rolling_back import roll_back
from stratum.engine.plans.work_trees.snapshots import Restored
from stratum.engine.plans.work_trees.workspace import Workspace
from stratum.engine.pricing.service_tier import ServiceTier
from stratum.engine.settings import SettingsError

if TYPE_CHECKING:
    from stratum.engine.runtime import Runtime

PLAN_TARGET = "plan"
"""What the journal has as target of a plan's run."""


class Agents(Protocol):
    """Whoever does the steps of runs that are an agent's."""

    async def serve(self, run: PlanRun) -> None:
        """Until the run has ended."""
        ...


class _Proposal(msgspec.Struct, frozen=True):
    """What this session proposed last: to start it, it need not be read again."""

    run: str
    records: int
    past: PlanHistory


class Plans:
    """The plans of one project: proposed, revised, discarded, started and gone on with. Opened by `open_plans`."""

    def __init__(
        self,
        runtime: Runtime,
        nursery: trio.Nursery,
        *,
        functions: Functions,
        workspace: Path,
        approvals: Approvals,
        judge: Judge,
        agents: Agents | None,
    ) -> None:
        self.functions = functions
        self.workspace = workspace
        self._workspace = Workspace(workspace)
        self.approvals = approvals
        self.runtime = runtime
        self._nursery = nursery
        self._judge = judge
        self._agents = agents
        self._sources: Mapping[str, Source] = file_sources(workspace)
        self._compiled = CompiledPlans(functions.registry)
        self._proposed_last: _Proposal | None = None
        self._live: dict[str, PlanRun] = {}
        self._starting: dict[str, trio.Event] = {}

    async def propose(
        self,
        plan: ExecutionPlan | CompiledPlan,
        inputs: Mapping[str, Any] | None = None,
        *,
        by: str,
        modules: Sequence[str] = (),
    ) -> PlanStatus:
        """Check a plan and keep it, as a run that has not begun: nothing of it is done before it is approved.

        Raises:
            PlanError: with everything that is wrong with it.
            SettingsError: the user's policy is not to be believed, or not to be understood.
            ContractViolation: an input is missing, unknown, or not what the plan says.
        """
        policy = read_policy(self.approvals.home)
        compiled = await self._estimated(self._compiled.of(plan))
        checked = checked_inputs(compiled, inputs or {})
        run = uuid.uuid4().hex[:12]
        name = compiled.plan.goal or next((step.fn for step in compiled.plan.steps if step.fn), "plan")
        records = (
            RunStarted(
                session=self.runtime.session,
                name=name,
                target=PLAN_TARGET,
                inputs=msgspec.Raw(msgspec.json.encode(checked)),
            ),
            proposed(compiled, checked, by=by, modules=modules),
        )
        await self.runtime.journal.commit(run, *records)
        past = PlanHistory(records)
        self._proposed_last = _Proposal(run, len(records), past)
        return await self._status(run, past, policy)

    async def revise(self, run: str, plan: ExecutionPlan | CompiledPlan, *, by: str) -> PlanStatus:
        """Replace a plan that has not begun; it has to be approved anew.

        Raises:
            PlanError: the new one is not valid; the old one stays.
            RunError: it has begun, or was discarded.
        """
        if self.at_work(run) is not None:
            raise RunError(run=run, problem="it has begun", fix="propose a new plan for what is left to do")
        compiled = await self._estimated(self._compiled.of(plan))
        await revise_draft(self.runtime.journal, run, compiled, by=by)
        return await self.status(run)

    async def discard(self, run: str, *, by: str, because: str = "") -> PlanStatus:
        """End a plan that has not begun: it stays in the journal, its approval is taken back, and it can no longer be started.

        Raises:
            RunError: it has begun, or was discarded before.
            RunLocked: somebody is at work on it right now.
            UnknownRun: there is no such plan.
        """
        await discard_draft(self.runtime.journal, run, approvals=self.approvals, by=by, because=because)
        return await self.status(run)

    async def status(self, run: str) -> PlanStatus:
        """Where a plan stands, whichever process runs it.

        Raises:
            UnknownRun: there is no such plan.
        """
        if (live := self.at_work(run)) is not None:
            return live.status()
        return await self._status(run, await self._past(run), policy_or_problem(self.approvals.home))

    async def shown_digest(self, run: str) -> str:
        """What approving the plan approves, for whoever shows it to a person. Raises as `status`, and `RunError` for a forged one."""
        return shown_digest(run, await self._past(run))

    async def plan(self, run: str) -> ExecutionPlan:
        """The plan as it was proposed last. Raises as `status`."""
        return (await self._past(run)).plan

    async def compiled(self, run: str) -> CompiledPlan:
        """The same, checked. Raises as `status`."""
        return self._compiled_of(await self._past(run))

    async def inputs(self, run: str) -> Mapping[str, Any]:
        """What it is given, which is part of what is approved. Raises as `status`."""
        return (await self._past(run)).inputs

    def live(self, run: str) -> PlanRun | None:
        """The run, if it is at work in this process, or was and has ended here."""
        return self._live.get(run)

    def at_work(self, run: str) -> PlanRun | None:
        """The run, if it is at work in this process now."""
        live = self._live.get(run)
        return None if live is None or live.ended.is_set() else live

    async def start(self, run: str, *, raised: Raised = None, by: str = "") -> PlanRun:
        """Begin an approved plan, or go on with one that ended or was killed; what is done is not done again.

        Returns at once: it runs on until it has ended or `open_plans` is left. The budget keeps counting; `raised` gives it, or
        that of a step by its id, new limits, what was used included; `by` is who gave them.

        Raises:
            NotApproved: nobody has approved exactly this plan.
            SettingsError: the user's policy is not to be believed, or not to be understood.
            RunLocked: another process is running it.
            RunError: it has succeeded, or was discarded.
            UnknownRun: there is no such plan.
            OnHold: a person has stopped everything of the project.
        """
        # Of many that start it at once the first does; the others get what it started.
        while run in self._starting:
            await self._starting[run].wait()
        if (live := self.at_work(run)) is not None:
            return live
        started = self._starting[run] = trio.Event()
        try:
            return await self._start(run, raised, by)
        finally:
            del self._starting[run]
            started.set()

    async def _start(self, run: str, raised: Raised, by: str) -> PlanRun:
        self.runtime.hold.refuse(f"run {run}")
        records = await self.runtime.journal.claim(run)
        try:
            past = self._as_proposed(run, records) or await self._past(run)
            policy = read_policy(self.approvals.home)
            compiled, approval = await self._may_start(run, past, policy)
            self._proposed_last = None  # its history grows with the run, and is the run's alone from now on
            raises = limits_raised(raised, past, run=run, by=by)
            log = PlanLog(self.runtime, id=run, history=past)
            resumed = RunResumed(elapsed_ms=past.elapsed_ms, session=self.runtime.session)
            log.append(*([] if approval is None else [approval]), resumed)
        except BaseException:
            await self.runtime.journal.release(run)
            raise
        for raise_ in raises:
            if past.raise_limits(raise_):
                log.append(raise_)
        live = PlanRun(
            self.runtime,
            log,
            compiled,
            past.inputs,
            functions=self.functions,
            workspace=self._workspace,
            sources=self._sources,
            judge=self._judge,
            policy=policy,
        )
        self._live[run] = live
        self._nursery.start_soon(self._work, live, name=f"plan {run}")
        if self._agents is not None:
            self._nursery.start_soon(self._agents.serve, live, name=f"agents of plan {run}")
        return live

    async def _work(self, live: PlanRun) -> None:
        with self.runtime.mail.read_by(partial(_obey, live), run=live.id):
            await live.work()

    async def rollback(self, run: str, step: str, *, by: str, force: bool = False) -> Restored:
        """Restore the workspace to what it was after a step; what came later is done again if the run goes on.

        Raises:
            RestoreRefused: files were changed since the last snapshot, and `force` is not given.
            RunError: it is at work, or the step has no snapshot.
            UnknownRun, RunLocked, WorkspaceError: as elsewhere.
        """
        if self.at_work(run) is not None:
            raise RunError(run=run, problem="it is at work", fix="cancel it, then roll it back")
        return await roll_back(
            self.runtime.journal,
            run,
            step,
            snapshots=self._workspace.snapshots,
            compiled=self._compiled.of,
            by=by,
            force=force,
        )

    async def _may_start(self, run: str, past: PlanHistory, policy: Policy) -> tuple[CompiledPlan, Approved | None]:
        """And the approval it starts with, unless the journal has it; which is in the plan's own reach, and not believed.

        Looked up once: it can be revoked at any moment.
        """
        refuse_discarded(run, past)
        if past.finished is not None and past.finished.state == "succeeded" and not past.rolled_back:
            raise RunError(run=run, problem="it has succeeded", fix="propose it again to do it again")
        compiled = self._compiled_of(past)
        digest = shown_digest(run, past, plan_digest=compiled.digest)
        if (approval := self.approvals.find(digest)) is not None:
            approved = Approved(digest=digest, by=approval.by, how=approval.how)
        else:
            said = await self._ruling(policy, compiled)
            if not said.approves:
                raise NotApproved(run=run, digest=digest, policy=said.first_reason)
            approved = Approved(digest=digest, by=policy.file, how="policy")
        return compiled, None if approved == past.approved else approved

    async def _ruling(self, policy: Policy | SettingsError, compiled: CompiledPlan) -> Ruling:
        """Estimated anew: what the journal has may be old, and was written in reach of the plan's steps."""
        # To read what calls took is of no use to a policy that approves nothing, and 0.2 s of a long journal.
        past = await self.runtime.journal.past_calls() if approves_by_cost(policy) else {}
        return ruling(policy, compiled, self._estimator(past), self.runtime.prices)

    def _estimator(self, past: Mapping[tuple[str, str], PastCalls]) -> Estimator:
        def price_of(model: str, tier: ServiceTier | None) -> Price | None:
            return self.runtime.price(model, tier=tier or self.runtime.service_tier)

        return Estimator(self.functions, past=past, price_of=price_of, model=self.runtime.model)

    def _compiled_of(self, past: PlanHistory) -> CompiledPlan:
        assert past.proposed is not None, "the run of a plan begins with its proposal"
        return self._compiled.proposed(past.proposed)

    async def _estimated(self, compiled: CompiledPlan) -> CompiledPlan:
        """The plan with what it will probably take."""
        return self._compiled.of(self._estimator(await self.runtime.journal.past_calls()).estimated(compiled))

    def _as_proposed(self, run: str, records: int) -> PlanHistory | None:
        """All there is of a run that has so many records, if this session proposed it last and nothing was recorded since."""
        last = self._proposed_last
        return last.past if last is not None and (last.run, last.records) == (run, records) else None

    async def _past(self, run: str) -> PlanHistory:
        past = PlanHistory(await self.runtime.journal.read(run))
        if past.proposed is None:
            raise UnknownRun(run=run, problem="it is a flow's, not a plan's", fix="`stratum resume` goes on with flows")
        return past

    async def _status(self, run: str, past: PlanHistory, policy: Policy | SettingsError) -> PlanStatus:
        """As the journal has it; `policy` is asked about a draft."""
        compiled = self._compiled_of(past)
        if past.finished is None and past.begun:
            state = cast(PlanState, await self.runtime.journal.state(run))
            return recorded_status(run, compiled, past, state=state)
        status = recorded_status(run, compiled, past, state=past.state)
        if past.state != "draft":
            return status
        if self.approvals.find(past.digest) is not None:
            return msgspec.structs.replace(status, state="approved")
        said = await self._ruling(policy, compiled)
        return msgspec.structs.replace(status, state="approved" if said.approves else "draft", policy=said.said)


@asynccontextmanager
async def open_plans(
    runtime: Runtime,
    *,
    functions: Functions | None = None,
    workspace: Path | None = None,
    approvals: Approvals | None = None,
    judge: Judge | None = None,
    agents: Agents | None = None,
) -> AsyncGenerator[Plans]:
    """The project's plans, for as long as the block lasts; leaving it stops the runs, which can be gone on with.

    Args:
        runtime: calls the models, and keeps the records.
        functions: the steps and contracts that plans may name.
        workspace: the folder that steps work in, by default the current one.
        approvals: where they are kept; by default in the user's own folder, by `workspace`.
        judge: decides conditions in plain English; by default a configured model, else Codex, else a person.
        agents: does the steps of agents; by default they are handed out to whoever asks for them.
    """
    folder = (workspace or Path.cwd()).resolve()
    async with trio.open_nursery() as nursery:
        plans = Plans(
            runtime,
            nursery,
            functions=functions or Functions(),
            workspace=folder,
            approvals=approvals or Approvals(folder),
            judge=judge or default_judge(runtime),
            agents=agents,
        )
        yield plans
        nursery.cancel_scope.cancel(reason="the plans are closing")


def _obey(live: PlanRun, message: Message) -> None:
    """What other processes ask; an answer that no gate waits for is dropped."""
    match message:
        case CancelRun():
            live.cancel(message.told)
        case AnswerGate():
            with suppress(StepNotReady):
                live.answer(message.step, message.decision, by=message.by, comment=message.comment)
        case RaiseLimits():
            with suppress(StepNotReady):
                live.raise_limits(Budget.of_limits(message.limits), by=message.by)
        case _:
            pass
