"""`CompiledPlans`: plans as they were checked, the last few of them; checking one costs milliseconds, and it is needed often."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from stratum.contracts.compiled_plan import CompiledPlan
from stratum.contracts.plan import ExecutionPlan
from stratum.contracts.plan_check import compile_plan
from stratum.contracts.registry import Registry

KEPT: Final = 64
MAX_KEPT_BYTES: Final = 2**18
"""Of a plan as JSON: a larger one is compiled anew."""


class CompiledPlans:
    """Compiled against one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: OrderedDict[bytes, CompiledPlan] = OrderedDict()

    def of(self, plan: ExecutionPlan | CompiledPlan) -> CompiledPlan:
        """The plan, checked; one that is compiled has been, against the same registry.

        Raises:
            PlanError: with everything that is wrong with it.
        """
        source = plan.plan if isinstance(plan, CompiledPlan) else plan
        key = msgspec.json.encode(source)
        found = self._kept.pop(key, None)
        if found is None:
            found = plan if isinstance(plan, CompiledPlan) else compile_plan(plan, self._registry)
        if len(key) <= MAX_KEPT_BYTES:
            self._kept[key] = found
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found
