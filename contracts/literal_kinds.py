"""`true` is not 1: to Python, and so to pydantic, they are equal, and a Literal of one takes the other and becomes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic_core import CoreSchema, PydanticKnownError, SchemaValidator, core_schema

from stratum.contracts.shape import is_dict, is_sequence
from stratum.contracts.strict import STRICT_CORE

NESTED: Final = (
    *("schema", "items_schema", "keys_schema", "values_schema", "json_schema", "python_schema"),
    *("choices", "definitions", "steps", "fields"),
)
"""Where a node of a core schema has other nodes."""


def kind_validator(schema: CoreSchema) -> SchemaValidator | None:
    """What tells the values of Literals by their kind too; `None` where there is none to tell: pydantic's own does then."""
    if not _has_any(schema):
        return None
    # Validators that contract classes carry may be pydantic's own: not to be reused here.
    return SchemaValidator(_guarded(schema), STRICT_CORE, _use_prebuilt=False)


def of_these_kinds(choice: Any, values: Sequence[Any]) -> Any:
    """`choice` for these values, each of its own kind."""
    if not _tells_kinds(values):
        return choice
    among = {(type(value), value) for value in values}
    kinds = {type(value) for value in values}
    expected = " or ".join(json.dumps(getattr(value, "value", value)) for value in values)

    def check(value: Any) -> Any:
        if type(value) not in kinds and isinstance(value, int) and not isinstance(value, bool):
            value = int(value)  # a member of an IntEnum is an integer
        if type(value) not in kinds or (type(value), value) not in among:
            raise PydanticKnownError("literal_error", {"expected": expected})
        return value

    return core_schema.no_info_before_validator_function(check, choice)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The nodes within a node's `NESTED` part, changed: in lists, in tuples with their labels, and by field name or tag."""
    if is_dict(value):
        return change(value) if isinstance(value.get("type"), str) else {k: mapped(v, change) for k, v in value.items()}
    if is_sequence(value):
        items = [mapped(item, change) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return value


def _tells_kinds(values: Sequence[Any]) -> bool:
    return any(isinstance(value, int) for value in values)


def _guarded(node: Any) -> Any:
    copy = {name: mapped(value, _guarded) if name in NESTED else value for name, value in node.items()}
    return of_these_kinds(copy, copy["expected"]) if copy["type"] == "literal" else copy


def _has_any(schema: Any) -> bool:
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if is_sequence(node):
            waiting += node
        elif is_dict(node):
            kind = node.get("type")
            if kind == "literal" and _tells_kinds(node["expected"]):
                return True
            waiting += [node[name] for name in NESTED if name in node] if isinstance(kind, str) else node.values()
    return False
