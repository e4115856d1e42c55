"""Guards for values whose items are of any type: `isinstance(value, list)` alone leaves them unknown to pyright."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)


def is_sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, (list, tuple))


def is_set(value: object) -> TypeGuard[set[Any] | frozenset[Any]]:
    return isinstance(value, (set, frozenset))
