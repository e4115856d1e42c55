"""`show`: a value as one short line, whatever its own `repr` would do.

Violations quote values that a model or a tool produced: they may be huge, hold control characters, or have a
`repr` that raises. Opaque fields stay out of prompts and traces.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, cast

MAX_VALUE = 120
"""Characters one quoted value may take of the 500 a violation has."""
_MAX_ITEMS = 6
_MAX_DEPTH = 3


def show(value: object, *, limit: int = MAX_VALUE) -> str:
    """`value` in at most `limit` characters: `0.42`, `'low'`, `['a', 'b', … 4 more]`.

    Deterministic: no memory addresses, sets sorted. Never raises an `Exception`.
    """
    text = _show(value, limit, _MAX_DEPTH)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def record_fields(value: object) -> tuple[str, ...] | None:
    """The declared fields of a contract, pydantic model, msgspec Struct or dataclass (a class or an instance), else `None`."""
    cls = value if isinstance(value, type) else type(value)
    fields = getattr(cls, "__struct_fields__", None) or getattr(cls, "__pydantic_fields__", None)
    if fields is None and dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls)]
    return None if fields is None else tuple(cast("Iterable[str]", fields))


def plain_attribute(value: object, name: str) -> object:
    """A declared field's value, read without running any code of the value's class.

    Raises:
        LookupError: `name` is not a declared field, or reading it would run a property or `__getattribute__`.
    """
    cls = type(value)
    if name not in (record_fields(value) or ()) or cls.__getattribute__ is not object.__getattribute__:
        raise LookupError(name)
    in_class = next((vars(parent)[name] for parent in cls.__mro__ if name in vars(parent)), None)
    if hasattr(type(in_class), "__set__") and type(in_class).__name__ != "member_descriptor":
        raise LookupError(name)
    return object.__getattribute__(value, name)


def _show(value: object, limit: int, depth: int) -> str:
    if type(value) is str:
        return repr(value[: limit + 1])
    if value is None or isinstance(value, (bool, float)) or (type(value) is int and abs(value) < 10**limit):
        return repr(value)
    if type(value) is int:
        return f"an integer of about {int(math.log10(abs(value)))} digits" if value else "0"
    if depth == 0:
        return "…"
    if type(value) in (list, tuple, set, frozenset, dict):
        return _show_container(cast("Any", value), limit, depth)
    if (fields := record_fields(value)) is not None and not isinstance(value, type):
        return _show_record(value, fields, limit, depth)
    return _own_repr(value)


def _show_container(value: Any, limit: int, depth: int) -> str:
    opening, closing = {list: "[]", tuple: "()", dict: "{}"}.get(cast("type", type(value)), "{}")
    if isinstance(value, dict):
        items = [
            f"{_show(k, limit, depth - 1)}: {_show(v, limit, depth - 1)}" for k, v in islice(value.items(), _MAX_ITEMS)
        ]
    else:
        items = [_show(item, limit, depth - 1) for item in islice(value, _MAX_ITEMS)]
    if isinstance(value, (set, frozenset)):
        items.sort()
    if len(value) > _MAX_ITEMS:
        items.append(f"… {len(value) - _MAX_ITEMS:,} more")
    return opening + ", ".join(items) + closing


def _show_record(value: object, fields: Iterable[str], limit: int, depth: int) -> str:
    shown: list[str] = []
    for name in islice(fields, _MAX_ITEMS):
        try:
            shown.append(f"{name}={_show(plain_attribute(value, name), limit, depth - 1)}")
        except (LookupError, AttributeError):
            continue
    return f"{type(value).__name__}({', '.join(shown)})"


def _own_repr(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    # A default repr holds a memory address, which would make two runs' prompts differ.
    return f"<{type(value).__name__}>" if " at 0x" in text else text
