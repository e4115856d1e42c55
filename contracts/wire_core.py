"""What a validator of a model's answer reads, as a pydantic core schema derived from the contract's own.

Three things differ from the Python side. A field with a default must be written all the
same: leaving it out, or null, never stands for the default; only a field that admits None
may be absent. And a dict may come as a list of `{"key": ..., "value": ...}` entries, the
form in which it is asked for: the strict subset of JSON Schema has no open objects. And
true is not 1.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from pydantic_core import (
    CoreConfig,
    CoreSchema,
    PydanticCustomError,
    PydanticKnownError,
    SchemaValidator,
    core_schema,
)

from stratum.contracts.literal_kinds import NESTED, mapped, of_these_kinds
from stratum.contracts.strict import STRICT_CORE

Node = dict[str, Any]

_FIELDS: Final = frozenset({"dataclass-field", "model-field", "typed-dict-field"})


def wire_core(schema: CoreSchema) -> CoreSchema:
    """The core schema of what is read from the wire."""
    return _rewritten(schema, STRICT_CORE)  # type: ignore[arg-type, no-any-return]  # a TypedDict, read as a plain dict


def wire_reader(schema: CoreSchema, *, wrapped: bool = False) -> SchemaValidator:
    """The authority on the wire: its `validate_json` reads one value of a contract's core schema.

    `wrapped`: what it reads is `{"value": ...}` around the value, and stays that.
    """
    core: Any = wire_core(schema)
    if wrapped and core["type"] == "definitions":
        core = {**core, "schema": _record({"value": core["schema"]}, STRICT_CORE)}
    elif wrapped:
        core = _record({"value": core}, STRICT_CORE)
    # Validators that contract classes carry are for construction in Python: not to be reused here.
    return SchemaValidator(core, STRICT_CORE, _use_prebuilt=False)


def admits_none(schema: Any) -> bool:
    """True where null is a value of its own."""
    if schema["type"] in ("nullable", "none"):
        return True
    return "schema" in schema and schema["type"].startswith(("default", "function-")) and admits_none(schema["schema"])


def _rewritten(node: Node, settings: CoreConfig) -> Any:
    settings = node.get("config", settings)
    within = partial(_rewritten, settings=settings)
    copy = {name: mapped(value, within) if name in NESTED else value for name, value in node.items()}
    if copy["type"] in _FIELDS:
        copy["schema"] = _field_value(copy["schema"])
    if copy["type"] == "dict":
        return _dict_or_entries(copy, settings)
    if copy["type"] == "literal":
        return of_these_kinds(_members_by_value(copy), [getattr(value, "value", value) for value in copy["expected"]])
    if copy["type"] == "enum":
        return of_these_kinds(copy, [member.value for member in copy["members"]])
    return copy


def _field_value(schema: Any) -> Any:
    if not admits_none(schema):
        return schema["schema"] if schema["type"] == "default" else schema
    return schema if schema["type"] == "default" else core_schema.with_default_schema(schema, default=None)


def _members_by_value(literal: Any) -> Any:
    """`literal` for the JSON of its Enum members: pydantic reads that only where the Enum is itself one of strings or integers."""
    expected = literal["expected"]
    plain = [value for value in expected if not isinstance(value, enum.Enum)]
    members = {value.value: value for value in expected if isinstance(value, enum.Enum) and value.value not in plain}
    if not members:
        return literal

    shown = " or ".join(repr(getattr(value, "value", value)) for value in expected)

    def member(value: Any) -> Any:
        if not isinstance(value, (str, int)) or value not in (*members, *plain):
            raise PydanticKnownError("literal_error", {"expected": shown})
        return members.get(value, value)

    return core_schema.no_info_before_validator_function(member, literal)


def _dict_or_entries(as_object: Any, settings: CoreConfig) -> Any:
    entries = core_schema.list_schema(
        _record({"key": as_object["keys_schema"], "value": as_object["values_schema"]}, settings),
        min_length=as_object.get("min_length"),
        max_length=as_object.get("max_length"),
    )
    return core_schema.tagged_union_schema(
        {"entries": core_schema.no_info_after_validator_function(_as_dict, entries), "object": as_object},
        discriminator=lambda value: "entries" if isinstance(value, list) else "object",
    )


def _record(fields: Mapping[str, Any], settings: CoreConfig) -> CoreSchema:
    # A typed dict without settings of its own has none at all: it does not inherit those around it.
    return core_schema.typed_dict_schema(
        {name: core_schema.typed_dict_field(schema) for name, schema in fields.items()},
        extra_behavior="forbid",
        config=settings,
    )


def _as_dict(entries: Sequence[Node]) -> Node:
    items: Node = {}
    for entry in entries:
        if entry["key"] in items:
            raise PydanticCustomError("duplicate_key", "each key once")
        items[entry["key"]] = entry["value"]
    return items
