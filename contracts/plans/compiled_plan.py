"""`CompiledPlan`: a plan that was checked, with all that the engine and the renderings ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stratum.contracts.codec import Codec
from stratum.contracts.expressions.expression import Expression
from stratum.contracts.expressions.fields import Shape
from stratum.contracts.plans.dag import Dag
from stratum.contracts.plans.plan import ExecutionPlan, Kind
from stratum.contracts.registry import Function


class CompiledPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that was checked, with what was found out about it. Everything by step is in the plan's order."""

    plan: ExecutionPlan
    digest: str
    """The plan's: what an approval is bound to."""
    index: Mapping[str, int]
    """A step's number by its id."""
    kinds: tuple[Kind, ...]
    """Who does each step."""
    dependencies: tuple[tuple[int, ...], ...]
    """The steps that each waits for, ascending: those it names and those it reads."""
    dag: Dag
    """The same, and that whoever needs a step's output also waits for the step that may stand in for it."""
    bare: bytes
    """By step: 1 where it calls a function and nothing else is asked of it, nor is it there for another step."""
    special: tuple[int, ...]
    """The other steps, ascending."""
    tolerated: bytes
    """By step: 1 where the plan goes on though it fails, for joins alone come after it; empty where no step is a join."""
    outputs: tuple[Codec[Any] | None, ...]
    """What each returns; `None` where it is any JSON value."""
    returns: Shape | None
    """What the plan returns, where that is known."""
    expressions: Mapping[str, Expression]
    """By their text."""
    functions: Mapping[str, Function]
    """Those that its steps call, by name."""
    inputs: Mapping[str, Codec[Any]]
    """What `$.input` must hold."""
    plans: Mapping[str, CompiledPlan]
    """By the name that a step's `fn` gives."""

    @property
    def files(self) -> tuple[str, ...]:
        """All that its steps say they may change, those of plans within it included."""
        own = [name for step in self.plan.steps for name in step.files]
        return (*own, *(name for inner in self.plans.values() for name in inner.files))
