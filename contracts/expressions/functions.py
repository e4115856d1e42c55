"""The functions and methods of the expression language.

Each gets the steps left, the call it stands in and its arguments, which are JSON values, sets or loops. Each charges
for its work before doing it. What is not here cannot be called: formatting and padding (`'{:>9999999999}'.format`),
attributes of anything, input and output.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

from stratum.contracts.expressions.limits import (
    MAX_COLLECTED,
    MAX_TEXT_BUILT,
    Fault,
    Pattern,
    Steps,
    bounded_integer,
)
from stratum.contracts.expressions.values import is_number, is_scalar, is_text, kind

Function = Callable[..., object]


def items(steps: Steps, node: ast.AST, value: object) -> Iterator[Any]:
    """What a loop over `value` goes through, one step each."""
    if not isinstance(value, (str, list, tuple, set, dict, Iterator)):
        raise Fault(node, f"{kind(value)} has no items", "go through a list, a text or an object")
    for item in cast("Iterator[Any]", value):
        steps.charge(1, node)
        yield item


def scalars(steps: Steps, node: ast.AST, value: object) -> list[Any]:
    """The items of `value`, each a number, text, true, false or null."""
    found = list(items(steps, node, value))
    for item in found:
        if not is_scalar(item):
            raise Fault(node, f"an item is {kind(item)}", "take one field of each item")
    return found


def collect(steps: Steps, node: ast.AST, value: object) -> set[object]:
    """A set of scalars."""
    found: set[object] = set()
    for item in items(steps, node, value):
        if not is_scalar(item):
            raise Fault(node, f"{kind(item)} cannot be in a set", "take one field of each item")
        found.add(item)
        check_collected(len(found), node)
    return found


def check_collected(size: int, node: ast.AST) -> None:
    if size > MAX_COLLECTED:
        raise Fault(node, f"more than {MAX_COLLECTED:,} items in a set or object", "look at less of the result")


def built(text: str, node: ast.AST) -> str:
    check_length(len(text), node)
    return text


def check_length(characters: int, node: ast.AST) -> None:
    if characters > MAX_TEXT_BUILT:
        raise Fault(node, f"it builds a text of more than {MAX_TEXT_BUILT:,} characters", "build less")


# Functions


def _len(steps: Steps, node: ast.Call, value: Any) -> int:
    return len(value)


def _any(steps: Steps, node: ast.Call, value: object) -> bool:
    return any(items(steps, node, value))


def _all(steps: Steps, node: ast.Call, value: object) -> bool:
    return all(items(steps, node, value))


def _sum(steps: Steps, node: ast.Call, value: object) -> object:
    total: Any = 0
    for item in items(steps, node, value):
        if not is_number(item):
            raise Fault(node, f"{kind(item)} cannot be added up", "add up numbers")
        total = bounded_integer(total + item, node)
    return total


def _min(steps: Steps, node: ast.Call, *values: object, **default: object) -> object:
    return min(scalars(steps, node, _one_or_all(values)), **cast("dict[str, Any]", default))


def _max(steps: Steps, node: ast.Call, *values: object, **default: object) -> object:
    return max(scalars(steps, node, _one_or_all(values)), **cast("dict[str, Any]", default))


def _one_or_all(values: tuple[object, ...]) -> object:
    return values[0] if len(values) == 1 else values


def _sorted(steps: Steps, node: ast.Call, value: object, *, reverse: bool = False) -> list[object]:
    return sorted(scalars(steps, node, value), reverse=reverse)


def _list(steps: Steps, node: ast.Call, value: object = ()) -> list[object]:
    return list(items(steps, node, value))


def _set(steps: Steps, node: ast.Call, value: object = ()) -> set[object]:
    return collect(steps, node, value)


def _enumerate(steps: Steps, node: ast.Call, value: object, start: int = 0) -> list[object]:
    return list(enumerate(items(steps, node, value), start))


def _zip(steps: Steps, node: ast.Call, *values: object) -> list[object]:
    return list(zip(*(items(steps, node, value) for value in values), strict=False))


def _abs(steps: Steps, node: ast.Call, value: Any) -> object:
    return abs(value)


def _round(steps: Steps, node: ast.Call, value: Any, digits: object = None) -> object:
    if not (digits is None or (isinstance(digits, int) and abs(digits) <= 20)):
        raise Fault(node, "it rounds to at most 20 digits", "round(x, 2), say")
    return round(value, digits)


def _int(steps: Steps, node: ast.Call, value: Any) -> object:
    return bounded_integer(int(value), node)


def _float(steps: Steps, node: ast.Call, value: Any) -> float:
    return float(value)


def _str(steps: Steps, node: ast.Call, value: object) -> str:
    if not is_scalar(value):
        raise Fault(node, f"{kind(value)} has no text", "take one field of it")
    return (
        value
        if isinstance(value, str)
        else {None: "null", True: "true", False: "false"}.get(cast("Any", value)) or repr(value)
    )


def _bool(steps: Steps, node: ast.Call, value: object) -> bool:
    return bool(value)


def _matches(steps: Steps, node: ast.Call, text: Any, pattern: Pattern) -> bool:
    if not is_text(text):
        raise Fault(node, f"{kind(text)} is not a text", "match a text")
    steps.charge(pattern.cost(text), node)
    return pattern.found_in(text)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "abs": _abs,
    "all": _all,
    "any": _any,
    "bool": _bool,
    "enumerate": _enumerate,
    "float": _float,
    "int": _int,
    "len": _len,
    "list": _list,
    "matches": _matches,
    "max": _max,
    "min": _min,
    "round": _round,
    "set": _set,
    "sorted": _sorted,
    "str": _str,
    "sum": _sum,
    "zip": _zip,
}
TAKE_A_LOOP: Final = frozenset({"all", "any", "list", "max", "min", "set", "sorted", "sum"})
"""Functions whose only argument may be written as a loop: `all(x > 0 for x in result.scores)`."""


# Methods


def _plain_text(name: str, *, per_step: int = 64) -> Function:
    """A method of str whose result is no longer than the text."""

    def call(steps: Steps, node: ast.Call, text: str, *arguments: object) -> object:
        steps.charge_text(text, node, per_step=per_step)
        for argument in arguments:
            if isinstance(argument, str):
                steps.charge_text(argument, node)
        # A tuple in an expression is a list; startswith and endswith want a tuple.
        given = [tuple(cast("list[object]", a)) if isinstance(a, list) else a for a in arguments]
        return getattr(text, name)(*given)

    return call


def _replace(steps: Steps, node: ast.Call, text: str, old: str, new: str) -> str:
    steps.charge_text(text, node, per_step=16)
    check_length(len(text) + text.count(old) * max(len(new) - len(old), 0), node)
    return text.replace(old, new)


def _join(steps: Steps, node: ast.Call, text: str, parts: object) -> str:
    found = list(items(steps, node, parts))
    check_length(sum(len(part) + len(text) for part in found), node)
    joined = text.join(found)
    steps.charge_text(joined, node)
    return joined


def _keys(steps: Steps, node: ast.Call, value: dict[str, object]) -> list[str]:
    steps.charge(len(value), node)
    return list(value)


def _values(steps: Steps, node: ast.Call, value: dict[str, object]) -> list[object]:
    steps.charge(len(value), node)
    return list(value.values())


def _entries(steps: Steps, node: ast.Call, value: dict[str, object]) -> list[tuple[str, object]]:
    steps.charge(len(value), node)
    return list(value.items())


def _get(steps: Steps, node: ast.Call, value: dict[str, object], key: str, default: object = None) -> object:
    return value.get(key, default)


def _list_method(name: str) -> Function:
    def call(steps: Steps, node: ast.Call, value: list[object], item: object) -> object:
        steps.charge_all_of(value, node)
        return getattr(value, name)(item)

    return call


def _set_method(name: str) -> Function:
    def call(steps: Steps, node: ast.Call, value: set[object], other: object) -> object:
        steps.charge(len(value), node)
        return getattr(value, name)(collect(steps, node, other))

    return call


_SHORTENING: Final = (
    "lower",
    "upper",
    "casefold",
    "strip",
    "lstrip",
    "rstrip",
    "removeprefix",
    "removesuffix",
    "split",
    "splitlines",
)
_ASKING: Final = (
    "startswith",
    "endswith",
    "count",
    "find",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isspace",
    "isupper",
)

METHODS: Final[Mapping[type, Mapping[str, Function]]] = {
    str: {
        **{name: _plain_text(name, per_step=8) for name in _SHORTENING},
        **{name: _plain_text(name) for name in _ASKING},
        "replace": _replace,
        "join": _join,
    },
    dict: {"keys": _keys, "values": _values, "items": _entries, "get": _get},
    list: {"count": _list_method("count"), "index": _list_method("index")},
    set: {name: _set_method(name) for name in ("issubset", "issuperset", "isdisjoint")},
}
METHOD_NAMES: Final = frozenset(name for methods in METHODS.values() for name in methods)
