"""An `agent` step: handed out, done by somebody else, and reported."""

from __future__ import annotations

import math
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import trio

from stratum.contracts.any_json import ANY_JSON
from stratum.contracts.errors import ContractViolation
from stratum.contracts.plans.status import Assignment, Verdict
from stratum.contracts.records import HandedOut, TakenBack
from stratum.contracts.registry import value_schema
from stratum.contracts.violation import Violation, retry_message
from stratum.engine.infer import DEFAULT_RETRIES
from stratum.engine.plans.doers.agent_spend import book_spend, refuse_overdrawn
from stratum.engine.plans.doers.doer import Outcome
from stratum.engine.plans.handouts import Handout
from stratum.engine.plans.left import left_of

if TYPE_CHECKING:
    from stratum.engine.envelope import Envelope
    from stratum.engine.plans.plan_run import PlanRun
    from stratum.engine.plans.step_history import StepHistory
    from stratum.engine.plans.steps import PlanSteps


class ReportTakenBack(Exception):
    """Nobody wants a verdict any more; the step waits for another report."""


class AgentDoer:
    """Hands the step out, and waits for its report."""

    def __init__(
        self,
        run: PlanRun,
        steps: PlanSteps,
        number: int,
        past: StepHistory,
        arguments: dict[str, Any],
        envelope: Envelope,
    ) -> None:
        self._run = run
        self._steps = steps
        self._number = number
        self._past = past
        self._arguments = arguments
        self._envelope = envelope
        self._handout: Handout | None = None
        self._outcome = Outcome()

    async def attempt(self, violations: Sequence[Violation]) -> Outcome:
        before, self._handout = self._handout, await self._hand_out(violations)
        handout = self._handout
        if before is not None:
            before.again = handout.assignment
            before.judged.set()
        self._steps.stands(self._number, "handed_out")
        try:
            await self._run.log.runtime.timed("agent", handout.reported.wait())
        finally:
            self._run.handouts.due.pop(self._past.id, None)
            self._steps.stands(self._number, "running")
        assert handout.report is not None, "reported"
        self._outcome = outcome = self._booked(handout)
        outcome.conflict, outcome.own_tree = handout.report.conflict, handout.report.own_tree
        if handout.report.given_up:
            outcome.violations = (
                Violation(kind="answer", condition="the agent gave up", detail=handout.report.given_up),
            )
            return outcome
        try:
            outcome.result = self._steps.values.codec(self._number).decode_value(bytes(handout.report.body))
        except ContractViolation as error:
            outcome.violations = tuple(error.violations)
        return outcome

    @contextmanager
    def verifying(self) -> Generator[None]:
        """Around the verification of what was reported.

        Raises:
            ReportTakenBack: it was taken back meanwhile, and this is recorded.
        """
        handout, spent = self._handout, self._outcome
        assert handout is not None, "verified after it was reported"
        with handout.verification:
            yield
        if handout.verification.cancel_called:
            self._run.log.append(
                TakenBack(
                    elapsed_ms=self._run.log.elapsed_ms,
                    call=self._past.id,
                    ticket=handout.assignment.ticket,
                    usage=spent.usage,
                    picousd=spent.picousd,
                    priced=spent.priced,
                )
            )
            raise ReportTakenBack

    def judged(
        self, violations: Sequence[Violation], attested: Sequence[str], *, last: bool, sent_on: bool = False
    ) -> None:
        """What came of the attempt. `last`: there is none after it; `sent_on`: for another step mends it first."""
        handout = self._handout
        assert handout is not None, "judged after it was attempted"
        handout.verdict = Verdict(
            step=self._past.id,
            accepted=not violations,
            violations=tuple(violations),
            attested=tuple(attested),
            failed=last and bool(violations) and not sent_on,
        )
        if last:
            handout.judged.set()

    def _booked(self, handout: Handout) -> Outcome:
        """What this attempt took so far, now that it is booked."""
        spent, earlier = Outcome(usage=handout.usage, priced=handout.usage is not None), self._past.taken_back
        if handout.usage is not None:
            picousd = book_spend(self._run.log, self._envelope, self._past.id, usage=handout.usage, model=handout.model)
            spent.picousd, spent.priced = picousd or 0, picousd is not None
        if earlier is not None:
            measured = [usage for usage in (earlier.usage, spent.usage) if usage is not None]
            spent.usage = sum(measured[1:], measured[0]) if measured else None
            spent.picousd += earlier.picousd
            spent.priced = spent.priced and earlier.priced
        return spent

    async def _hand_out(self, violations: Sequence[Violation]) -> Handout:
        past = self._past
        recorded = past.handed_out
        if past.reported is None:
            await refuse_overdrawn(self._envelope)
        attempt = len(past.attempts) + 1
        ticket = recorded.ticket if recorded else f"{past.id}:{attempt}:{uuid.uuid4().hex[:12]}"
        if recorded is None:
            elapsed_ms = self._run.log.elapsed_ms
            self._run.log.append(HandedOut(elapsed_ms=elapsed_ms, call=past.id, ticket=ticket, attempt=attempt))
        # Nobody is given work whose beginning could be forgotten.
        await self._run.log.synced()
        model = self._steps.compiled.plan.steps[self._number].model
        codec = self._steps.values.codec(self._number)
        handout = Handout(
            assignment=self._assignment(ticket, attempt, violations),
            arguments=self._arguments,
            codec=codec,
            model_wanted=model if isinstance(model, str) else model[0],
        )
        if past.reported is not None:
            handout.report = past.reported  # before the run was resumed; nobody waits for the verdict any more
            handout.reported.set()
        self._run.handouts.add(handout)
        return handout

    def _assignment(self, ticket: str, attempt: int, violations: Sequence[Violation]) -> Assignment:
        compiled = self._steps.compiled
        step = compiled.plan.steps[self._number]
        codec = self._steps.values.codec(self._number)
        retries = DEFAULT_RETRIES if step.retries is None else step.retries
        return Assignment(
            step=self._past.id,
            ticket=ticket,
            attempt=attempt,
            attempts_left=max(0, retries - self._past.rejected),
            fn=step.fn,
            intent=step.intent,
            inputs={} if violations else self._arguments,
            schema={} if codec is ANY_JSON else value_schema(codec),
            ensure=tuple(condition.text for condition in step.conditions),
            files=step.files,
            left={} if step.budget is None else self._left(),
            violations=tuple(violations),
            message=retry_message(violations) if violations else "",
        )

    def _left(self) -> dict[str, int]:
        left_s = self._envelope.cancel_scope.deadline - trio.current_time()
        return left_of(self._envelope.scope, left_ms=None if left_s == math.inf else max(0, round(left_s * 1000)))
