"""`CompiledPlans`: plans as they were checked, the last few of them; checking one takes longer than running it may, and it is needed often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec

from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.records import PlanProposed
from stratum.contracts.registry import Registry

KEPT: Final = 64
MAX_KEPT_BYTES: Final = 2**18
"""Of a plan as JSON: of larger ones only the last is kept."""


class CompiledPlans:
    """Compiled against one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # By the SHA-256 of the plan as JSON.
        self._kept: OrderedDict[bytes, CompiledPlan] = OrderedDict()
        self._last_large: tuple[bytes, CompiledPlan] | None = None

    def of(self, plan: ExecutionPlan | CompiledPlan) -> CompiledPlan:
        """The plan, checked; one that is compiled has been, against the same registry.

        Raises:
            PlanError: with everything that is wrong with it.
        """
        if isinstance(plan, CompiledPlan):
            return self._found(msgspec.json.encode(plan.plan), lambda: plan)
        return self._found(msgspec.json.encode(plan), lambda: compile_plan(plan, self._registry))

    def proposed(self, record: PlanProposed) -> CompiledPlan:
        """The plan that was proposed; one that is kept is not even read. Raises as `of`."""
        text = bytes(record.plan)
        return self._found(text, lambda: compile_plan(msgspec.json.decode(text, type=ExecutionPlan), self._registry))

    def _found(self, text: bytes, compiled: Callable[[], CompiledPlan]) -> CompiledPlan:
        key = sha256(text).digest()
        if len(text) > MAX_KEPT_BYTES:
            if self._last_large is None or self._last_large[0] != key:
                self._last_large = None  # before there are two of them
                self._last_large = key, compiled()
            return self._last_large[1]
        found = self._kept.pop(key, None) or compiled()
        self._kept[key] = found
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found
