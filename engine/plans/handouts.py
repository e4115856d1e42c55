"""`Handouts`: the steps that a run has agents do: each handed out, reported, judged, or taken back.

Above: `PlanRun`, which agents report to. Below: `AgentDoer`, which hands a step out and says what the report is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.codec import Codec
from stratum.contracts.plans.errors import StaleTicket, StepNotReady
from stratum.contracts.plans.status import Assignment, Verdict
from stratum.contracts.price import Usage
from stratum.contracts.records import Reported

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun


@dataclass(kw_only=True, eq=False, slots=True)
class Handout:
    """One hand-out of a step, from the assignment to the verdict."""

    assignment: Assignment
    arguments: dict[str, Any]
    """Of the step, also on a retry: whoever takes it up then does not know them."""
    codec: Codec[Any]
    """Of the result."""
    model_wanted: str = ""
    report: Reported | None = None
    usage: Usage | None = None
    model: str = ""
    waiting: int = 0
    """Calls that wait for the verdict."""
    verification: trio.CancelScope = field(default_factory=trio.CancelScope)
    """Cancelled once the report is taken back."""
    verdict: Verdict | None = None
    reported: trio.Event = field(default_factory=trio.Event)
    judged: trio.Event = field(default_factory=trio.Event)
    """Together with `again`, where the step is handed out anew at once."""
    again: Assignment | None = None

    @property
    def answer_schema(self) -> bytes:
        """The result's JSON Schema as models are given it; empty: any JSON value."""
        return b"" if self.codec is ANY_JSON else self.codec.wire_schema


class Handouts:
    """One run's."""

    def __init__(self, run: PlanRun) -> None:
        self._run = run
        self.due: dict[str, Handout] = {}
        """By step: what agents are to do now."""
        self.beginning: set[str] = set()
        """Steps that have begun and are not handed out yet: the files are being kept first."""
        self._by_ticket: dict[str, Handout] = {}

    def add(self, handout: Handout) -> None:
        """An agent is to do this now."""
        self.due[handout.assignment.step] = handout
        self.beginning.discard(handout.assignment.step)
        self._by_ticket[handout.assignment.ticket] = handout
        self._run.touch()

    async def report(self, reported: Reported, *, usage: Usage | None, model: str) -> Verdict:
        """Take a report in, and wait for what comes of it; see `PlanRun.report`."""
        run, step = self._run, reported.call
        handout = await self._waiting(step, reported.ticket)
        if handout.report is None:
            if self.due.get(step) is not handout:
                raise self._void(step)
            handout.report, handout.usage, handout.model = reported, usage, model
            run.log.append(reported)
            handout.reported.set()
        elif (bytes(handout.report.body), handout.report.given_up) != (bytes(reported.body), reported.given_up):
            raise StaleTicket(run=run.id, step=step, problem="it was reported already, with another result")
        handout.waiting += 1
        try:
            await handout.judged.wait()
        finally:
            handout.waiting -= 1
        if handout.verdict is None:
            raise self._void(step)
        await run.log.synced()
        return msgspec.structs.replace(handout.verdict, again=handout.again)

    def judged(self, step: str, *, ticket: str) -> bool:
        """Whether a report has its verdict; see `PlanRun.judged`."""
        handout = self._by_ticket.get(ticket)
        return handout is not None and handout.assignment.step == step and handout.verdict is not None

    def take_back(self, step: str, *, ticket: str) -> None:
        """Stop the verification of a report; see `PlanRun.take_back`."""
        handout = self._by_ticket.get(ticket)
        if handout is None or handout.assignment.step != step or handout.waiting or handout.verdict is not None:
            return
        if handout.report is not None:
            handout.verification.cancel(reason="the report was taken back")

    def close(self) -> None:
        """The run has ended: nobody waits for a verdict any more."""
        for handout in self._by_ticket.values():
            handout.judged.set()

    async def _waiting(self, step: str, ticket: str) -> Handout:
        """The hand-out, once it is out again: its report is being taken back, or the run has just been gone on with."""
        if ticket not in self._by_ticket:
            await self._handed_out_before(step, ticket)
        handout = self._out(step, ticket)
        if not handout.verification.cancel_called:
            return handout
        await handout.judged.wait()
        if self._by_ticket[ticket] is handout:
            raise self._void(step)
        return self._out(step, ticket)

    async def _handed_out_before(self, step: str, ticket: str) -> None:
        """Wait for a hand-out that keeps its ticket from before the run was stopped; nothing else is waited for."""
        run = self._run
        past = run.log.past.by_id.get(step)
        while past is not None and past.handed_out is not None and past.handed_out.ticket == ticket:
            if ticket in self._by_ticket or run.ended.is_set():
                return
            await run.until_changed(run.version)

    def _out(self, step: str, ticket: str) -> Handout:
        handout = self._by_ticket.get(ticket)
        if handout is not None and handout.assignment.step == step:
            return handout
        if step in self.due:
            raise StaleTicket(run=self._run.id, step=step, problem="it was handed out anew, with another ticket")
        raise StepNotReady(run=self._run.id, step=step, problem="nobody is asked to do it now")

    def _void(self, step: str) -> BaseException:
        """Why a hand-out counts no longer: the run has ended, or the step starts over."""
        if self._run.failure is not None:
            return self._run.failure
        return StaleTicket(run=self._run.id, step=step, problem="it was taken back before its result was judged")
