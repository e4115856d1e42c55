"""`show`: a value as one short line, whatever its own `repr` would do.

Violations quote values that a model or a tool produced: they may be huge, hold control characters, or have a
`repr` that raises. Opaque fields stay out of prompts and traces.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import islice
from types import MemberDescriptorType
from typing import Any, cast

from stratum.contracts.opaque import OPAQUE, is_opaque

MAX_VALUE = 120
"""Characters one quoted value may take of the 500 a violation has."""
_MAX_ITEMS = 6
_MAX_SORTED = 1000
_MAX_DEPTH = 3
_LARGE = 10**60


def show(value: object) -> str:
    """`value` in at most `MAX_VALUE` characters: `0.42`, `'low'`, `['a', 'b', … 4 more]`.

    Deterministic: no memory addresses, sets sorted. Never raises an `Exception`.
    """
    text = _show(value, MAX_VALUE, _MAX_DEPTH)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def record_fields(cls: type) -> tuple[str, ...] | None:
    """The declared fields of a contract, pydantic model, msgspec Struct or dataclass; `None` for any other class."""
    fields = getattr(cls, "__struct_fields__", None) or getattr(cls, "__pydantic_fields__", None)
    if fields is None and dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls)]
    return None if fields is None else tuple(cast("Iterable[str]", fields))


@lru_cache(maxsize=1024)
def opaque_fields(cls: type) -> frozenset[str]:
    """The fields of `cls` whose values are never quoted."""
    pydantic_fields = getattr(cls, "__pydantic_fields__", None)
    if pydantic_fields is not None:
        marked = {n for n, info in pydantic_fields.items() if OPAQUE in info.metadata or is_opaque(info.annotation)}
        return frozenset(marked)
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint may name anything; a class whose hints cannot be read marks nothing
        return frozenset()
    return frozenset(name for name, annotation in hints.items() if is_opaque(annotation))


def plain_attribute(value: object, name: str) -> object:
    """A declared field's value, read without running any code of the value's class.

    Raises:
        LookupError: `name` is opaque or not a declared field, or reading it would run a property or `__getattribute__`.
    """
    cls: type[Any] = type(value)
    if name not in (record_fields(cls) or ()) or name in opaque_fields(cls):  # type: ignore[arg-type]  # mypy takes no class for hashable
        raise LookupError(name)
    in_class = next((vars(parent)[name] for parent in cls.__mro__ if name in vars(parent)), None)
    if _runs_code(in_class) or any("__getattribute__" in vars(parent) for parent in cls.__mro__[:-1]):
        raise LookupError(name)
    return object.__getattribute__(value, name)


def _runs_code(in_class: object) -> bool:
    # A slot's descriptor reads the slot; any other one with a __set__ goes before the instance's own attribute.
    return hasattr(type(in_class), "__set__") and not isinstance(in_class, MemberDescriptorType)


def _show(value: object, limit: int, depth: int) -> str:
    if type(value) is str:
        return repr(value[: limit + 1])
    if value is None or isinstance(value, (bool, float)) or (type(value) is int and abs(value) < _LARGE):
        return repr(value)
    if type(value) is int:
        # repr refuses integers beyond 4,300 digits.
        return f"<an integer of {int(math.log10(abs(value))) + 1} digits>"
    if depth == 0:
        return "…"
    if type(value) is dict:
        return _show_dict(cast("dict[object, object]", value), limit, depth)
    if type(value) in (list, tuple, set, frozenset):
        return _show_items(cast("Collection[object]", value), limit, depth)
    fields = record_fields(type(value))
    return _own_repr(value) if fields is None else _show_record(value, fields, limit, depth)


def _show_dict(value: dict[object, object], limit: int, depth: int) -> str:
    items = [
        f"{_show(key, limit, depth - 1)}: {_show(item, limit, depth - 1)}"
        for key, item in islice(value.items(), _MAX_ITEMS)
    ]
    return "{" + _listed(items, len(value)) + "}"


def _show_items(value: Collection[object], limit: int, depth: int) -> str:
    if isinstance(value, (set, frozenset)):
        # Their order differs from run to run: sorted, or only counted.
        items = sorted(_show(item, limit, depth - 1) for item in value) if len(value) <= _MAX_SORTED else []
        return "{" + _listed(items[:_MAX_ITEMS], len(value)) + "}"
    listed = _listed([_show(item, limit, depth - 1) for item in islice(value, _MAX_ITEMS)], len(value))
    return f"[{listed}]" if isinstance(value, list) else f"({listed})"


def _listed(items: list[str], total: int) -> str:
    more = [f"… {total - len(items):,} more"] if total > len(items) else []
    return ", ".join(items + more)


def _show_record(value: object, fields: Iterable[str], limit: int, depth: int) -> str:
    shown: list[str] = []
    for name in islice(fields, _MAX_ITEMS):
        try:
            shown.append(f"{name}={_show(plain_attribute(value, name), limit, depth - 1)}")
        except (LookupError, AttributeError):
            shown.append(f"{name}=…")
    return f"{type(value).__name__}({', '.join(shown)})"


def _own_repr(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a repr is anyone's code
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    # A default repr holds a memory address, which would make two runs' prompts differ.
    return f"<{type(value).__name__}>" if " at 0x" in text else text
