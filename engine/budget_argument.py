"""What may be passed as `budget=`."""

from __future__ import annotations

from stratum.contracts.budget import Budget
from stratum.contracts.errors import ContractDefinitionError


def refuse_other_than_budget(owner: str, budget: object) -> None:
    """Raise where a number or a dict was given as a budget: found when declared, not when first called."""
    if budget is not None and not isinstance(budget, Budget):
        raise ContractDefinitionError(
            owner=owner, problem=f"budget={budget!r} is not a Budget", fix="write Budget(ms=..., usd=..., tokens=...)"
        )
