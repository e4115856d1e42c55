"""The values of the expression language: JSON values, and sets made of scalars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
    dict: "an object",
    set: "a set",
}


def kind(value: object) -> str:
    """What a person calls a value of this type."""
    return _KINDS.get(type(value), "a loop")


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float))


def is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """True for tuples too: `zip` and `.items()` give pairs."""
    return isinstance(value, (list, tuple))


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_set(value: Any) -> TypeGuard[set[Any]]:
    return isinstance(value, set)


def is_scalar(value: Any) -> TypeGuard[bool | float | str | None]:
    """One number, text, true, false or null."""
    return value is None or isinstance(value, (bool, int, float, str))
