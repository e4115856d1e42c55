"""`left_of`: what a budget at work has left."""

from __future__ import annotations

from stratum.actors.scope import Scope


def left_of(scope: Scope, *, left_ms: int | None) -> dict[str, int]:
    """`usd` (picodollars), `tokens`, `ms`; only those that are limited."""
    left: dict[str, int] = {}
    if scope.limits.picousd is not None:
        left["usd"] = scope.limits.picousd - scope.counted_picousd
    if scope.limits.tokens is not None:
        left["tokens"] = scope.limits.tokens - scope.counted_tokens
    if left_ms is not None:
        left["ms"] = left_ms
    return left
