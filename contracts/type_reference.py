"""Types that a plan names: `RouteMap`, `list[str]`, `int | None`."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Union
from uuid import UUID

from stratum.contracts.problem import shown
from stratum.contracts.reference import Malformed

Names = Callable[[str], Any]
"""A contract by its name; raises `LookupError`."""

BUILT_IN: Mapping[str, Any] = {
    cls.__name__: cls for cls in (str, int, float, bool, bytes, date, datetime, Decimal, UUID)
}
_CONTAINERS: Mapping[str, Any] = {"list": list, "set": set, "dict": dict}
_MAX_NAME = 500


def named_type(text: str, names: Names, *, path: str) -> Any:
    """The annotation that a type's name stands for.

    Raises:
        Malformed: it is not a name of the forms above.
        LookupError: it names a contract that `names` does not have; its argument is that name.
    """
    try:
        tree = ast.parse(text, mode="eval").body if len(text) <= _MAX_NAME else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if tree is None:
        raise Malformed(path, f"{shown(text)} is not a type", 'write "RouteMap", "list[str]" or "int | None"')
    return _annotation(tree, names, text=text, path=path)


def _annotation(tree: ast.expr, names: Names, *, text: str, path: str) -> Any:
    read = functools.partial(_annotation, names=names, text=text, path=path)
    match tree:
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name) if name not in _CONTAINERS:
            return BUILT_IN[name] if name in BUILT_IN else names(name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[read(left), read(right)]  # noqa: UP007 - `|` does not take two Nones
        case ast.Subscript(value=ast.Name(id="list" | "set" as container), slice=item):
            return _CONTAINERS[container][read(item)]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, item])):
            return dict[read(key), read(item)]  # type: ignore[misc]  # made at run time
        case _:
            raise Malformed(path, f"{shown(text)} is not a type", 'write "RouteMap", "list[str]" or "int | None"')
