"""Who decides a condition in plain English where nobody else was named."""

from __future__ import annotations

from stratum.engine.plans.case import Case, Judged


class Unjudged:
    """No judge: such a condition never holds by itself. An agent's claim about itself is not evidence."""

    async def __call__(self, case: Case) -> Judged:
        return Judged(holds=False, detail="there is nobody to judge it: name a model, or write it as an expression")
