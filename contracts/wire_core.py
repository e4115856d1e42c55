"""What a validator of a model's answer reads, as a pydantic core schema derived from the contract's own.

Two things differ from the Python side. A field with a default must be written all the
same: leaving it out, or null, never stands for the default; only a field that admits None
may be absent. And a dict may come as a list of `{"key": ..., "value": ...}` entries, the
form in which it is asked for: the strict subset of JSON Schema has no open objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import CoreConfig, CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from stratum.contracts.shape import is_dict, is_sequence

Node = dict[str, Any]

_NESTED: Final = (
    *("schema", "items_schema", "keys_schema", "values_schema", "json_schema", "python_schema"),
    *("choices", "definitions", "steps", "fields"),
)
_FIELDS: Final = frozenset({"dataclass-field", "model-field", "typed-dict-field"})


def wire_core(schema: CoreSchema) -> CoreSchema:
    """The core schema of what is read from the wire."""
    return _rewritten(schema)  # type: ignore[arg-type, no-any-return]  # a TypedDict, read as a plain dict


def wire_reader(schema: CoreSchema) -> SchemaValidator:
    """The authority on the wire: its `validate_json` reads one value of the contract's core schema."""
    # Validators that contract classes carry are for construction in Python: not to be reused here.
    return SchemaValidator(wire_core(schema), _SETTINGS, _use_prebuilt=False)


_SETTINGS: Final = CoreConfig(
    strict=True, allow_inf_nan=False, val_json_bytes="base64", extra_fields_behavior="forbid", str_min_length=0
)


def admits_none(schema: Any) -> bool:
    """True where null is a value of its own."""
    if schema["type"] in ("nullable", "none"):
        return True
    return "schema" in schema and schema["type"].startswith(("default", "function-")) and admits_none(schema["schema"])


def _rewritten(node: Node) -> Any:
    copy = {name: _within(value) if name in _NESTED else value for name, value in node.items()}
    if copy["type"] in _FIELDS:
        copy["schema"] = _field_value(copy["schema"])
    return _dict_or_entries(copy) if copy["type"] == "dict" else copy


def _within(value: Any) -> Any:
    if is_dict(value):
        is_node = isinstance(value.get("type"), str)  # else: nodes by field name, or by tag
        return _rewritten(value) if is_node else {name: _within(item) for name, item in value.items()}
    if is_sequence(value):
        items = [_within(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items  # a tuple: a union's choice with its label
    return value


def _field_value(schema: Any) -> Any:
    if not admits_none(schema):
        return schema["schema"] if schema["type"] == "default" else schema
    return schema if schema["type"] == "default" else core_schema.with_default_schema(schema, default=None)


def _dict_or_entries(as_object: Any) -> Any:
    entry = core_schema.typed_dict_schema(
        {
            "key": core_schema.typed_dict_field(as_object["keys_schema"]),
            "value": core_schema.typed_dict_field(as_object["values_schema"]),
        },
        extra_behavior="forbid",
    )
    entries = core_schema.list_schema(
        entry, min_length=as_object.get("min_length"), max_length=as_object.get("max_length")
    )
    return core_schema.tagged_union_schema(
        {"entries": core_schema.no_info_after_validator_function(_as_dict, entries), "object": as_object},
        discriminator=lambda value: "entries" if isinstance(value, list) else "object",
    )


def _as_dict(entries: Sequence[Node]) -> Node:
    items: Node = {}
    for entry in entries:
        if entry["key"] in items:
            raise PydanticCustomError("duplicate_key", "each key once")
        items[entry["key"]] = entry["value"]
    return items
