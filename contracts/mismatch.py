"""From pydantic's errors to violations: what was expected, what came, in words a model can act on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stratum.contracts.violation import Violation

_SHOWN = 80
"""Characters of an offending string that are quoted; the rest of it helps nobody."""


def violations_of(error: ValidationError, value: object, *, at: Sequence[str] = ()) -> list[Violation]:
    """Each mismatch of `value` as one violation, in the order of the fields.

    `at` is where `value` itself is: the name of the argument it was passed as.
    """
    return [_violation(mismatch, (*at, *_path(mismatch["loc"], value))) for mismatch in error.errors(include_url=False)]


def _violation(mismatch: ErrorDetails, path: Sequence[str | int]) -> Violation:
    expected, got = _expectation(mismatch), _got(mismatch)
    where = f"{_written(path)}: " if path else ""
    return Violation(kind="schema", condition=f"{where}expected {expected}", detail=f"got {got}")


def _expectation(mismatch: ErrorDetails) -> str:
    phrase = _EXPECTED.get(mismatch["type"])
    if phrase is None:
        return mismatch["msg"][:1].lower() + mismatch["msg"][1:]
    return phrase(mismatch.get("ctx", {})) if callable(phrase) else phrase


def _got(mismatch: ErrorDetails) -> str:
    if mismatch["type"] == "missing":
        return "nothing"
    if mismatch["type"] == "json_invalid":
        return str(mismatch["ctx"]["error"])
    return shown(mismatch["input"])


def shown(value: object) -> str:
    """`value` as JSON would write it, containers by their size, long strings cut."""
    if isinstance(value, str):
        return json.dumps(value if len(value) <= _SHOWN else value[:_SHOWN] + "…", ensure_ascii=False)
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return f"object with {len(value)} fields"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"array of {len(value)} items"
    return type(value).__name__


def _path(location: Sequence[str | int], value: object) -> tuple[str | int, ...]:
    """The part of pydantic's location that is in the value: names of union branches are not."""
    path: list[str | int] = []
    for number, step in enumerate(location):
        last = number == len(location) - 1
        if isinstance(value, Mapping):
            if step in value or last:
                path.append(step)
                value = value.get(step)
        elif isinstance(value, (list, tuple)) and isinstance(step, int):
            path.append(step)
            value = value[step] if step < len(value) else None
        elif isinstance(step, str) and hasattr(value, "__dict__") and step in value.__dict__:
            path.append(step)
            value = value.__dict__[step]
    return tuple(path)


def _written(path: Sequence[str | int]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


_Context = Mapping[str, Any]
_Phrase = str | Callable[[_Context], str]


def _at_least(noun: str, bound: str) -> Callable[[_Context], str]:
    return lambda context: f"{noun} {bound} {context[_BOUNDS[bound]]}"


_BOUNDS = {">": "gt", ">=": "ge", "<": "lt", "<=": "le"}

_EXPECTED: Final[dict[str, _Phrase]] = {
    "missing": "a value (required)",
    "json_invalid": "valid JSON",
    "extra_forbidden": "no such field",
    "unexpected_keyword_argument": "no such field",
    "unexpected_positional_argument": "keyword arguments only",
    "string_type": "string",
    "string_unicode": "string of valid Unicode",
    "string_too_short": lambda c: f"string of at least {c['min_length']} characters",
    "string_too_long": lambda c: f"string of at most {c['max_length']} characters",
    "string_pattern_mismatch": lambda c: f"string matching {c['pattern']}",
    "int_type": "integer",
    "int_parsing": "integer",
    "int_parsing_size": "integer of fewer digits",
    "int_from_float": "integer",
    "float_type": "number",
    "float_parsing": "number",
    "finite_number": "finite number",
    "bool_type": "boolean",
    "bool_parsing": "boolean",
    "none_required": "null",
    "list_type": "array",
    "tuple_type": "array",
    "set_type": "array",
    "frozen_set_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "dataclass_type": "object",
    "dataclass_exact_type": "object",
    "greater_than": _at_least("number", ">"),
    "greater_than_equal": _at_least("number", ">="),
    "less_than": _at_least("number", "<"),
    "less_than_equal": _at_least("number", "<="),
    "multiple_of": lambda c: f"multiple of {c['multiple_of']}",
    "too_short": lambda c: f"at least {c['min_length']} items",
    "too_long": lambda c: f"at most {c['max_length']} items",
    "literal_error": lambda c: f"one of {c['expected']}",
    "enum": lambda c: f"one of {c['expected']}",
}
