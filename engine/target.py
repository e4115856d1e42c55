"""`Target`: a function on a model, with what one answer of it may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stratum.contracts.errors import ContractDefinitionError
from stratum.engine.dialects.protocol import CompiledCall
from stratum.engine.pricing.service_tier import ServiceTier

Models = str | Sequence[str] | None
"""One model, or several: the next is asked where one cannot be reached."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where a call is sent."""

    compiled: CompiledCall
    model: str
    service_tier: ServiceTier | None
    cap: int
    """Output tokens, what the model thinks included."""
    min_cap: int
    """Below which no answer fits."""


def model_names(models: Models, *, owner: str) -> tuple[str, ...]:
    """In order; empty: what the runtime says.

    Raises:
        ContractDefinitionError: an empty name, one that is no text, or the same twice.
    """
    named = tuple(models) if isinstance(models, (list, tuple)) else () if models is None else (models,)
    are_names = all(name and str(name).strip() == name for name in named)
    if models == [] or not are_names or len(set(named)) < len(named):
        raise ContractDefinitionError(
            owner=owner, problem=f"model={models!r}", fix="name a model, or several different ones in the order to try"
        )
    return named
