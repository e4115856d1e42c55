"""Who decides a condition in plain English where nobody else was named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stratum.engine.plans.conditions import Judged


class Unjudged:
    """No judge: such a condition never holds by itself. An agent's claim about itself is not evidence."""

    async def __call__(self, condition: str, *, step: str, result: Any, inputs: Mapping[str, Any]) -> Judged:
        return Judged(holds=False, detail="there is nobody to judge it: name a model, or write it as an expression")
