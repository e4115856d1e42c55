"""`PlanBuilder`: a plan written in Python, with handles of earlier steps as references.

A step's `output` is typed as what the function returns, so that a type checker holds every step's arguments against the
function that it calls, as it does for a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

import msgspec

from stratum.contracts.budget import Budget
from stratum.contracts.codec import codec
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.plans.plan import Command, ExecutionPlan, Gate, Step
from stratum.contracts.registry import value_schema
from stratum.engine.plans.handle import Handle, Output, inputs_of, written
from stratum.engine.step import Step as Callee

P = ParamSpec("P")
R = TypeVar("R")


class PlanBuilder:
    """Collects steps; `build` makes the plan, which is then checked and approved like any other."""

    def __init__(self, goal: str = "", *, budget: Budget | None = None, fail_fast: bool = True) -> None:
        self._goal = goal
        self._budget = budget
        self._fail_fast = fail_fast
        self._steps: dict[str, Step] = {}
        self._input: dict[str, dict[str, Any]] = {}
        self._contracts: dict[str, dict[str, Any]] = {}

    def input(self, name: str, type: type[R]) -> R:
        """What the plan is given under this name when it is run."""
        self._input[name] = value_schema(codec(type, owner="plan", field=name))
        return cast(R, Output(f"$.input.{name}", _refuse))

    def step(self, function: Callee[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Call a function: with values, or with the outputs of earlier steps.

        Raises:
            TypeError: the arguments do not match its parameters.
        """
        if function.kind not in ("infer", "compute"):
            raise ContractDefinitionError(
                owner=function.signature.name,
                problem="a flow is no step of a plan",
                fix="add its steps, or use flow.plan()",
            )
        arguments = function.signature.names(args, kwargs)
        return self._add(function.signature.name, Step(id="", fn=function.signature.name, inputs=inputs_of(arguments)))

    def agent(self, intent: str, returns: type[R], /, **inputs: Any) -> Handle[R]:
        """Have the calling agent do something, in words; its result is held against the type."""
        schema = value_schema(codec(returns, owner="plan", field="output"))
        return self._add("agent", Step(id="", intent=intent, inputs=inputs_of(inputs), output=schema))

    def command(self, *argv: Any, cwd: str = "", env: dict[str, str] | None = None) -> Handle[Any]:
        """Run a program; an argument may be the output of an earlier step."""
        words = tuple(str(written(word)) for word in argv)
        return self._add(
            words[0] if words else "command", Step(id="", command=Command(argv=words, cwd=cwd, env=env or {}))
        )

    def gate(self, question: str, *, after: Sequence[Handle[Any]], revise: Handle[Any] | None = None) -> Handle[Any]:
        """Ask a person before what comes after."""
        gate = Gate(question=question, revise="" if revise is None else revise.id)
        return self._add("gate", Step(id="", gate=gate, depends_on=tuple(handle.id for handle in after)))

    def build(self, *, returns: object = None) -> ExecutionPlan:
        """The plan; it returns `returns`, an output or a part of one, else what its last step does."""
        output = written(returns) if returns is not None else ""
        return ExecutionPlan(
            goal=self._goal,
            input=dict(self._input),
            steps=tuple(self._steps.values()),
            output=output,
            budget=self._budget,
            fail_fast=self._fail_fast,
        )

    def _add(self, name: str, step: Step) -> Handle[Any]:
        id = _free(name, self._steps)
        self._steps[id] = msgspec.structs.replace(step, id=id)
        return Handle(id, changed=self._change, refuse=_refuse)

    def _change(self, id: str, said: dict[str, Any]) -> None:
        self._steps[id] = msgspec.structs.replace(self._steps[id], **said)


def _free(name: str, taken: dict[str, Step]) -> str:
    """An id made of a name: letters, digits, `_` and `-`, numbered where it is taken."""
    id = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "-" for char in name)[:50] or "step"
    number = 1
    while (numbered := id if number == 1 else f"{id}-{number}") in taken:
        number += 1
    return numbered


def _refuse(what: str) -> NoReturn:
    raise ContractDefinitionError(
        owner="plan",
        problem=f"a step's output is asked {what}, and nobody knows that before it has run",
        fix="write it as `when` or `ensure`, or use a flow",
    )
