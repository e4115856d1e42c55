"""`Conditions`: whether a step's result satisfies its plan: expressions, programs, and what a judge says of plain English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from stratum.contracts.expressions.evidence import Source
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import Ensure
from stratum.contracts.violation import Violation
from stratum.engine.plans.case import Case, Judge
from stratum.engine.plans.doers.command_evidence import command_source
from stratum.engine.plans.values import Values

if TYPE_CHECKING:
    from stratum.engine.plans.gathering import Gathering


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all conditions of a result."""

    violations: tuple[Violation, ...] = ()
    attested: tuple[str, ...] = ()
    """Conditions that nobody but the agent vouches for."""


class Conditions:
    """Those of one plan's steps."""

    def __init__(
        self,
        compiled: CompiledPlan,
        values: Values,
        *,
        sources: Mapping[str, Source],
        judge: Judge,
        gathering: Gathering,
    ) -> None:
        self._compiled = compiled
        self._values = values
        self._sources = sources
        self._judge = judge
        self._gathering = gathering

    async def verify(
        self, conditions: Sequence[Ensure], number: int, result: Any, *, step: str, inputs: Mapping[str, Any]
    ) -> Verified:
        """Check a result, as JSON values, against each of the conditions; all that is wrong is found together."""
        violations: list[Violation] = []
        attested: list[str] = []
        sources = self._sources_of(step)
        for condition in conditions:
            if condition.expr:
                expression = self._compiled.expressions[condition.expr]
                violations += await expression.check(
                    self._known(expression.steps, result=result, inputs=inputs), sources
                )
            elif condition.command:
                arguments = [self._values.text(argument) for argument in condition.command]
                evidence = await _answer(sources["command_succeeds"], arguments)
                if not evidence.holds:
                    violations.append(Violation(kind="ensure", condition=condition.text, detail=evidence.detail))
            else:
                judged = await self._judge(self._case(condition.judge, number, result, step=step, inputs=inputs))
                if not judged.holds:
                    violations.append(Violation(kind="ensure", condition=condition.judge, detail=judged.detail))
                elif judged.attested:
                    attested.append(condition.judge)
        return Verified(violations=tuple(violations), attested=tuple(attested))

    async def unmet(self, text: str, *, step: str, inputs: Mapping[str, Any]) -> str:
        """Why a `when` is not true; empty if it is."""
        expression = self._compiled.expressions[text]
        known = self._known(expression.steps, inputs=inputs)
        violations = await expression.check(known, self._sources_of(step))
        return "; ".join(violation.for_trace for violation in violations)

    def value(self, text: str, result: Any, *, inputs: Mapping[str, Any]) -> Any:
        """What an expression that asks nothing of the world evaluates to: a `score`, an `until`.

        Raises:
            ExpressionError: it cannot be evaluated on these values.
        """
        expression = self._compiled.expressions[text]
        return expression.evaluate(self._known(expression.steps, result=result, inputs=inputs))

    def _sources_of(self, step: str) -> Mapping[str, Source]:
        gathering = self._gathering
        run = command_source(
            lambda command: gathering.run(step, command), lambda command, run: gathering.note(step, command, run)
        )
        return {**self._sources, "command_succeeds": run}

    def _case(self, condition: str, number: int, result: Any, *, step: str, inputs: Mapping[str, Any]) -> Case:
        written = self._compiled.plan.steps[number]
        return Case(
            condition=condition,
            step=step,
            task=written.intent or written.fn,
            result=result,
            inputs=inputs,
            workspace=self._gathering.workspace,
            gather=lambda: self._gathering.exhibits(step),
            ask=lambda: self._gathering.ask(step, number, condition),
            may_attest=self._gathering.attests and self._compiled.kinds[number] == "agent",
        )

    def _known(self, steps: frozenset[str], *, inputs: Mapping[str, Any], result: Any = None) -> dict[str, Any]:
        """What the names in an expression mean; `steps` are those that it names."""
        outputs = {id: {"output": self._values.plain(self._compiled.index[id])} for id in steps}
        return {"result": result, "inputs": inputs, "steps": outputs}


async def _answer(source: Source, arguments: Sequence[str]) -> Any:
    answer = source(*arguments)
    return await answer if hasattr(answer, "__await__") else answer  # pyright: ignore[reportGeneralTypeIssues]
