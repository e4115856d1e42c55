"""A `gate` step: a question to a person, whose answer may be long in coming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from stratum.contracts.plans.plan import Gate
from stratum.contracts.plans.status import Question
from stratum.contracts.plans.step_result import GateDecision
from stratum.contracts.records import GateAnswered, GateOpened
from stratum.contracts.violation import Violation
from stratum.engine.people.answer_by import answer_by, seconds_left
from stratum.engine.plans.approval.policy import FILE_NAME, Gates
from stratum.engine.plans.askings import Asking, Decision
from stratum.engine.plans.doers.doer import Outcome

if TYPE_CHECKING:
    from stratum.engine.plans.plan_run import PlanRun
    from stratum.engine.plans.step_history import StepHistory
    from stratum.engine.plans.steps import PlanSteps


class Revise(Exception):
    """A person wants an earlier step done again. Never leaves the plan's steps."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("to be revised")
        self.violations = violations


class GateDoer:
    """Asks, and parks; while nothing else is at work the run's clock stands."""

    def __init__(self, run: PlanRun, steps: PlanSteps, number: int, past: StepHistory) -> None:
        gate = steps.compiled.plan.steps[number].gate
        assert gate is not None, "a gate step has a gate"
        self._gate: Gate = gate
        self._run = run
        self._steps = steps
        self._number = number
        self._past = past

    async def attempt(self, violations: Sequence[Violation]) -> Outcome:
        if (policy := self._policy()) != "ask":
            return self._approve(policy)
        decision, by, comment = await self._ask()
        log = self._run.log
        log.append(
            GateAnswered(elapsed_ms=log.elapsed_ms, call=self._past.id, decision=decision, by=by, comment=comment)
        )
        if decision == "kill":
            self._run.cancel(f"{by} ended it at gate {self._past.id}" + (f": {comment}" if comment else ""))
            await trio.sleep_forever()
        if decision == "revise":
            detail = comment or f"{by} wants it revised"
            raise Revise([Violation(kind="ensure", condition=self._gate.question, detail=detail)])
        return Outcome(result=GateDecision(decision=decision, comment=comment, by=by))

    def _policy(self) -> Gates:
        """A gate that is reached again was answered wrongly, or leads in a circle: that is for a person."""
        seen_before = self._past.by_policy or self._past.asked_repairs
        return "ask" if seen_before else self._run.policy.gates

    def _approve(self, policy: Gates) -> Outcome:
        log = self._run.log
        comment = f"approved by policy, seen by nobody: {self._gate.question}"
        opened, elapsed_ms = self._opened(), log.elapsed_ms
        log.append(
            GateAnswered(elapsed_ms=elapsed_ms, call=opened.call, decision="approve", by=FILE_NAME, policy=policy)
        )
        result = GateDecision(decision="approve", comment="", by=FILE_NAME)
        return Outcome(result=result, flagged=comment if policy == "flag" else "")

    async def _ask(self) -> tuple[Decision, str, str]:
        opened = self._opened()
        await self._run.log.synced()  # whoever sees the question may answer it from another process
        asking = Asking(question=self._question(opened))
        await self._steps.ask(self._number, asking, timeout_s=seconds_left(opened.answer_by))
        return asking.answer or (self._gate.on_timeout, "timeout", "")

    def _opened(self) -> GateOpened:
        """The deadline counts from when the question was first asked, whatever happened to the process since."""
        if self._past.gate is not None:
            return self._past.gate
        log = self._run.log
        opened = GateOpened(
            elapsed_ms=log.elapsed_ms,
            call=self._past.id,
            round=self._past.asked_repairs + 1,
            answer_by=answer_by(self._gate.timeout_s),
        )
        log.append(opened)
        return opened

    def _question(self, opened: GateOpened) -> Question:
        may_revise = self._gate.revise and self._past.asked_repairs < self._gate.max_rounds
        return Question(
            step=self._past.id,
            question=self._gate.question,
            options=("approve", "revise", "kill") if may_revise else ("approve", "kill"),
            round=opened.round,
            answer_by=opened.answer_by,
            on_timeout=self._gate.on_timeout,
        )
