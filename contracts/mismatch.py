"""From pydantic's errors to violations: what was expected and what came, in words a model can act on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stratum.contracts.shape import is_dict, is_sequence, is_set
from stratum.contracts.violation import MAX_VIOLATIONS, Violation

MAX_COMPARED: Final = 10_000
"""Mismatches of one value that are looked at: each takes 10 µs, and an answer of 16 MB can have four million."""
SHOWN_CHARACTERS: Final = 80
"""Of an offending string that are quoted; the rest of it helps nobody."""

Path = tuple[str | int, ...]


class Mismatch(msgspec.Struct, frozen=True):
    """One of pydantic's errors, placed in the value."""

    path: Path
    branches: tuple[tuple[Path, str], ...]
    """The unions on the way: where each is, and the branch of it that this error is about."""
    error: Any


def violations_of(
    error: ValidationError, value: object, *, at: Path = (), is_hidden: Callable[[Path], bool] = lambda path: False
) -> list[Violation]:
    """Each mismatch of `value` as one violation, in the order of the fields.

    Of a union, the branch that came nearest is reported; branches that all want another kind
    of value are one violation. `at` is where `value` itself is: the argument it was passed as.
    What stands at a path that `is_hidden` is not quoted.
    """
    if error.error_count() > MAX_COMPARED:
        return [Violation(kind="schema", condition=f"{error.error_count():,} mismatches", detail="too many to name")]
    mismatches = [_placed(details, value) for details in error.errors(include_url=False)]
    groups = _nearest(mismatches, depth=0)
    violations = [_violation(group, at, hidden=is_hidden(group[0].path)) for group in groups[:MAX_VIOLATIONS]]
    if len(groups) > MAX_VIOLATIONS:
        violations.append(Violation(kind="schema", condition=f"and {len(groups) - MAX_VIOLATIONS} more"))
    return violations


def shown(value: object) -> str:
    """`value` as JSON would write it; containers by their size, long strings cut."""
    if isinstance(value, str):
        text = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
        return json.dumps(text, ensure_ascii=False)
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if is_dict(value):
        return f"object with {_count(len(value), 'field')}"
    if is_sequence(value) or is_set(value):
        return f"array of {_count(len(value), 'item')}"
    return type(value).__name__


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _placed(details: ErrorDetails, value: Any) -> Mismatch:
    """Tell the steps of pydantic's location that are in the value from the names of union branches."""
    path: list[str | int] = []
    branches: list[tuple[Path, str]] = []
    absent = details["loc"][-1] if details["type"] == "missing" else None
    for step in details["loc"]:
        inside, found = _step(value, step, absent=absent)
        if inside:
            path.append(step)
            value = found
        else:
            branches.append((tuple(path), str(step)))
    return Mismatch(tuple(path), tuple(branches), details)


def _step(value: Any, step: str | int, *, absent: str | int | None) -> tuple[bool, Any]:
    members = _members(value)
    if members is not None:
        return step in members or step == absent, members.get(step)
    if is_sequence(value) and isinstance(step, int):
        return True, value[step] if step < len(value) else None
    return False, value


def _members(value: Any) -> Mapping[Any, Any] | None:
    if is_dict(value):
        return value
    if isinstance(value, msgspec.Struct):
        return {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
    return getattr(value, "__dict__", None)


def _nearest(mismatches: Sequence[Mismatch], *, depth: int) -> list[list[Mismatch]]:
    """Mismatches as groups of alternatives, each group one violation."""
    groups: list[list[Mismatch]] = []
    for union, members in itertools.groupby(mismatches, key=lambda mismatch: _union_at(mismatch, depth)):
        if union is None:
            groups.extend([member] for member in members)
            continue
        by_branch: dict[str, list[Mismatch]] = {}
        for member in members:
            by_branch.setdefault(member.branches[depth][1], []).append(member)
        near = [branch for branch in by_branch.values() if all(len(member.path) > len(union) for member in branch)]
        if near:
            groups.extend(_nearest(min(near, key=len), depth=depth + 1))
        else:
            groups.append([member for branch in by_branch.values() for member in branch if member.path == union])
    return groups


def _union_at(mismatch: Mismatch, depth: int) -> Path | None:
    return mismatch.branches[depth][0] if len(mismatch.branches) > depth else None


def _violation(alternatives: Sequence[Mismatch], at: Path, *, hidden: bool) -> Violation:
    path = _written((*at, *alternatives[0].path))
    wanted = " or ".join(dict.fromkeys(_wanted(mismatch.error) for mismatch in alternatives))
    wanted = wanted.replace(" or expected ", " or ")
    got = "an opaque value" if hidden else _got(alternatives[0].error)
    return Violation(kind="schema", condition=f"{path}: {wanted}" if path else wanted, detail=f"got {got}")


def _written(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _got(details: ErrorDetails) -> str:
    if details["type"] == "missing":
        return "nothing"
    if details["type"] == "json_invalid":
        return str(details.get("ctx", {}).get("error"))
    return type(details["input"]).__name__ if _is_array_of_another_kind(details) else shown(details["input"])


def _is_array_of_another_kind(details: ErrorDetails) -> bool:
    """A tuple in place of a list, say. Only Python has several: what a model writes is never refused for it."""
    return details["type"] in _ARRAYS and isinstance(details["input"], (list, tuple, set, frozenset))


def _wanted(details: ErrorDetails) -> str:
    if _is_array_of_another_kind(details):
        return f"expected {_ARRAYS[details['type']]}"
    phrase = _EXPECTED.get(details["type"])
    if phrase is None:  # a validator of the contract's own, or a constraint that says it well itself
        return details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"expected {phrase(details.get('ctx', {})) if callable(phrase) else phrase}"


def _bound(sign: str, name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda context: f"number {sign} {_number(context[name])}"


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _length(phrase: str, noun: str) -> Callable[[Mapping[str, Any]], str]:
    def expectation(context: Mapping[str, Any]) -> str:
        if "min_length" in context:
            return phrase.format(f"at least {_count(context['min_length'], noun)}")
        return phrase.format(f"at most {_count(context['max_length'], noun)}")

    return expectation


_ARRAYS: Final = {"list_type": "list", "tuple_type": "tuple", "set_type": "set", "frozen_set_type": "frozenset"}
_EXPECTED: Final[dict[str, str | Callable[[Mapping[str, Any]], str]]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "boolean"),
    **dict.fromkeys(_ARRAYS, "array"),
    **dict.fromkeys(("dict_type", "dataclass_type", "model_type", "model_attributes_type"), "object"),
    **dict.fromkeys(
        ("dataclass_exact_type", "is_instance_of"), lambda c: str(c["class_name"] if "class_name" in c else c["class"])
    ),
    **dict.fromkeys(("extra_forbidden", "unexpected_keyword_argument"), "no such field"),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), "date such as 2026-11-20"),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        "date and time such as 2026-11-20T12:00:00Z",
    ),
    **dict.fromkeys(("decimal_type", "decimal_parsing"), "decimal number such as 12.50"),
    **dict.fromkeys(("uuid_type", "uuid_parsing"), "UUID"),
    **dict.fromkeys(("bytes_type", "bytes_invalid_encoding"), "bytes in base64"),
    **dict.fromkeys(("string_too_short", "string_too_long"), _length("string of {}", "character")),
    **dict.fromkeys(("bytes_too_short", "bytes_too_long"), _length("{}", "byte")),
    **dict.fromkeys(("too_short", "too_long"), _length("{}", "item")),
    **dict.fromkeys(("literal_error", "enum"), lambda context: str(context["expected"])),
    "missing": "a value (required)",
    "duplicate_key": "each key once",
    "union_tag_invalid": lambda context: (
        f"object whose {context['discriminator']} is one of {context['expected_tags']}"
    ),
    "union_tag_not_found": lambda context: f"object with {context['discriminator']}",
    "json_invalid": "valid JSON",
    "unexpected_positional_argument": "keyword arguments only",
    "none_required": "null",
    "string_type": "string",
    "string_unicode": "string of valid Unicode",
    "string_pattern_mismatch": lambda context: f"string matching {context['pattern']}",
    "int_parsing_size": "integer of fewer digits",
    "finite_number": "finite number",
    "greater_than": _bound(">", "gt"),
    "greater_than_equal": _bound(">=", "ge"),
    "less_than": _bound("<", "lt"),
    "less_than_equal": _bound("<=", "le"),
    "multiple_of": lambda context: f"multiple of {_number(context['multiple_of'])}",
}
