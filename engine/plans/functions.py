"""`Functions`: the steps that plans may name, as the engine calls them and as a plan is checked against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stratum.contracts.registry import Function, Registry
from stratum.engine.step import Step


class Functions:
    """The steps and contracts that plans may name. Immutable; of two steps with one name, the first counts."""

    def __init__(self, steps: Iterable[Step[Any, Any]] = (), contracts: Iterable[type[Any]] = ()) -> None:
        by_name: dict[str, Step[Any, Any]] = {}
        for step in steps:
            if not isinstance(step, Step):
                raise TypeError(f"{step!r} is not a step; decorate it with @compute or @infer")
            if step.kind in ("infer", "compute"):  # a flow decides itself what it does: it cannot be approved as data
                by_name.setdefault(step.signature.name, step)
        self.steps: Mapping[str, Step[Any, Any]] = by_name
        self.registry = Registry.of(
            [Function.of(step.signature, "infer" if step.kind == "infer" else "compute") for step in by_name.values()],
            contracts,
        )
