"""JSON Schemas of what a model must write.

`local_schema` says what is enforced here. `answer_schema` is the same for the form asked of
a model, where a dict is a list of entries. `strict_schema` is what of that a provider takes
(OpenAI's strict subset): every property required, no open objects, no keyword outside a
short list. What cannot be sent is told in the description, and still enforced here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from stratum.contracts.digest import canonical_json
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.pattern import portable_pattern
from stratum.contracts.wire_core import admits_none

Schema = dict[str, Any]

# Limits of strict mode: OpenAI's guide to structured outputs, 2026-11.
MAX_DEPTH: Final = 10
"""Levels of nested objects."""
MAX_PROPERTIES: Final = 5000
MAX_ENUM_VALUES: Final = 1000

SENT_KEYWORDS: Final = frozenset(
    {
        *("type", "description", "enum", "anyOf", "$ref", "$defs"),
        *("properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern", "format"),
    }
)
SENT_FORMATS: Final = frozenset({"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})


_NOTE: Final = "note"
"""What `_Answer` has to tell that JSON Schema cannot: goes into the description."""


def local_schema(schema: CoreSchema, *, wrapped: bool) -> Schema:
    """JSON Schema 2020-12 of the JSON that is read, with all constraints; no titles, no defaults.

    `wrapped`: of the object `{"value": ...}` around it.
    """
    local = _without_titles(_Local(by_alias=True).generate(schema))
    return _wrapper(local) if wrapped else local


def answer_schema(schema: CoreSchema, *, wrapped: bool) -> Schema:
    """JSON Schema of the form asked of a model, with all constraints; the root is an object, not a reference."""
    answer = _without_titles(_Answer(by_alias=True).generate(schema))
    if wrapped:
        return _wrapper(answer)
    root = answer.pop("$ref", None)
    return answer if root is None else answer | answer["$defs"][_definition(root)]


def strict_schema(answer: Schema, *, owner: str) -> Schema:
    """The part of an answer schema that a provider takes.

    Raises:
        ContractDefinitionError: nested too deep, or more properties or enum values than strict mode allows.
    """
    definitions = answer.get("$defs", {})
    strict = _strict({name: value for name, value in answer.items() if name != "$defs"}, definitions)
    compiled = {name: _strict(definition, definitions) for name, definition in definitions.items()}
    used = _referenced(strict, compiled)
    if used:
        strict["$defs"] = {name: definition for name, definition in compiled.items() if name in used}
    _check_limits(strict, owner=owner)
    return strict


def unordered(schema: Schema) -> Schema:
    """The schema in one order: that of fields, enum values and branches of a union is not part of a contract.

    Python does not keep the last two: to `typing`'s caches `Literal["a", "b"] | None` and
    `Literal["b", "a"] | None` are one type, in the order that was written first.
    """
    copy = _mapped(schema, unordered)
    for name in ("required", "enum", "anyOf", "oneOf"):
        if name in copy:
            copy[name] = sorted(copy[name], key=canonical_json)
    return copy


def is_recursive(schema: Schema) -> bool:
    """True where a definition needs itself."""
    definitions = schema.get("$defs", {})
    return any(name in _referenced(definition, definitions) for name, definition in definitions.items())


def children(node: Schema) -> Iterator[Schema]:
    """The schemas directly within a schema; definitions are not among them."""
    yield from node.get("properties", {}).values()
    for name in _LISTS:
        yield from node.get(name, ())
    for name in _SINGLE:
        if isinstance(node.get(name), dict):
            yield node[name]


_SINGLE: Final = ("items", "additionalProperties", "propertyNames")
_LISTS: Final = ("anyOf", "oneOf", "prefixItems")


class _Local(GenerateJsonSchema):
    """Nothing has a default: on the wire no field may be left out but those that admit null."""

    def build_schema_type_to_method(self) -> dict[Any, Callable[[Any], JsonSchemaValue]]:
        # pydantic looks up all of its sixty methods for every schema, which takes longer than a small schema does.
        return _Methods(self)

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_is_required(self, field: Any, total: bool) -> bool:
        return not admits_none(field["schema"])

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        # pydantic gives the length of the bytes as the length of their text.
        text: Schema = {"type": "string", "contentEncoding": "base64"}
        if "max_length" in schema:
            text["maxLength"] = 4 * math.ceil(schema["max_length"] / 3)
        return text

    def set_schema(self, schema: core_schema.SetSchema) -> JsonSchemaValue:
        return self._array_without_uniqueness(super().set_schema(schema))

    def frozenset_schema(self, schema: core_schema.FrozenSetSchema) -> JsonSchemaValue:
        return self._array_without_uniqueness(super().frozenset_schema(schema))

    @staticmethod
    def _array_without_uniqueness(array: JsonSchemaValue) -> JsonSchemaValue:
        # A repeated item is read once: not worth a retry.
        return {name: value for name, value in array.items() if name != "uniqueItems"}


class _Methods(dict[str, Callable[[Any], JsonSchemaValue]]):
    """A generator's methods by the kind of core schema that they are for, looked up when first asked for."""

    def __init__(self, generator: GenerateJsonSchema) -> None:
        super().__init__()
        self._generator = generator

    def __missing__(self, kind: str) -> Callable[[Any], JsonSchemaValue]:
        method: Callable[[Any], JsonSchemaValue] = getattr(self._generator, f"{kind.replace('-', '_')}_schema")
        self[kind] = method
        return method


class _Answer(_Local):
    """A dict as a list of entries, a Decimal as a string: what strict mode can ask for."""

    def dict_schema(self, schema: Any) -> JsonSchemaValue:
        entry = {
            "type": "object",
            "properties": {
                "key": self.generate_inner(schema["keys_schema"]),
                "value": self.generate_inner(schema["values_schema"]),
            },
            "required": ["key", "value"],
            "additionalProperties": False,
        }
        entries: Schema = {"type": "array", "items": entry}
        self.update_with_validations(entries, schema, self.ValidationsMapping.array)
        return entries

    def decimal_schema(self, schema: Any) -> JsonSchemaValue:
        limits = [f"{sign} {schema[name]}" for name, sign in _SIGNS.items() if name in schema]
        text: Schema = {"type": "string", _NOTE: ", ".join(["decimal number such as 12.50", *limits])}
        if "max_digits" in schema:
            text["maxLength"] = schema["max_digits"] + len("-0.")
        return text


_SIGNS: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "a multiple of"}


def _strict(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    if "$ref" in node and len(node) > 1:
        # Nothing may stand beside a reference, and a field's description is worth more than one.
        name = _definition(node["$ref"])
        if name in _referenced(definitions[name], definitions):
            return {"$ref": node["$ref"]}
        return _strict(
            {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}, definitions
        )
    strict = _mapped(_rephrased(node), lambda child: _strict(child, definitions))
    if notes := ", ".join(_notes(node)):
        strict["description"] = f"{strict['description']} ({notes})" if "description" in strict else notes
    return {name: value for name, value in strict.items() if name in SENT_KEYWORDS}


def _rephrased(node: Schema) -> Schema:
    """The same schema without the keywords that have an equivalent in the subset."""
    said = dict(node)
    if "const" in said:
        said["enum"] = [said.pop("const")]
    if "oneOf" in said:
        said["anyOf"] = said.pop("oneOf")
    if "prefixItems" in said:
        kinds = {repr(item): item for item in said.pop("prefixItems")}
        said["items"] = next(iter(kinds.values())) if len(kinds) == 1 else {"anyOf": list(kinds.values())}
    if said.get("type") == "array":
        said.setdefault("items", {"type": "null"})  # of an empty tuple
    if said.get("type") == "object":
        said["required"] = list(said.setdefault("properties", {}))
        said["additionalProperties"] = False
    if "enum" in said and "type" not in said:
        said["type"] = sorted({_TYPES[type(value)] for value in said["enum"]})
    if "pattern" in said and (portable := portable_pattern(said.pop("pattern"))) is not None:
        said["pattern"] = portable
    if said.get("format") not in SENT_FORMATS:
        said.pop("format", None)
    return said


_TYPES: Final = {str: "string", bool: "boolean", int: "integer", type(None): "null"}


def _notes(node: Schema) -> Iterator[str]:
    """What the subset has no keyword for, in words."""
    if _NOTE in node:
        yield node[_NOTE]
    if node.get("contentEncoding") == "base64":
        yield "base64"
    elif "enum" not in node:
        if "minLength" in node:
            yield f"at least {node['minLength']} characters"
        if "maxLength" in node:
            yield f"at most {node['maxLength']} characters"
    if "pattern" in node and portable_pattern(node["pattern"]) is None:
        yield f"matching {node['pattern']}"


def _mapped(node: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """`node` with every schema directly within it changed."""
    copy = dict(node)
    for name in _SINGLE:
        if isinstance(copy.get(name), dict):
            copy[name] = change(copy[name])
    for name in _LISTS:
        if name in copy:
            copy[name] = [change(item) for item in copy[name]]
    for name in ("properties", "$defs"):
        if name in copy:
            copy[name] = {key: change(item) for key, item in copy[name].items()}
    return copy


def _without_titles(node: Schema) -> Schema:
    return _mapped({name: value for name, value in node.items() if name != "title"}, _without_titles)


def _wrapper(schema: Schema) -> Schema:
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    value = {name: part for name, part in schema.items() if name != "$defs"}
    return {
        "type": "object",
        "properties": {"value": value},
        "required": ["value"],
        "additionalProperties": False,
        **definitions,
    }


def _definition(reference: str) -> str:
    return reference.removeprefix("#/$defs/")


def _referenced(node: Schema, definitions: Mapping[str, Schema]) -> set[str]:
    """The definitions that `node` needs, directly or through others."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        current = waiting.pop()
        waiting.extend(children(current))
        name = _definition(current["$ref"]) if "$ref" in current else None
        if name is not None and name not in found:
            found.add(name)
            waiting.append(definitions[name])
    return found


def _check_limits(strict: Schema, *, owner: str) -> None:
    definitions = strict.get("$defs", {})
    nodes = [node for part in (strict, *definitions.values()) for node in _all(part)]
    counts = {
        f"more than {MAX_DEPTH} levels of nested objects": _depth(strict, definitions, ()) > MAX_DEPTH,
        f"more than {MAX_PROPERTIES} properties": sum(len(node.get("properties", ())) for node in nodes)
        > MAX_PROPERTIES,
        f"more than {MAX_ENUM_VALUES} enum values": sum(len(node.get("enum", ())) for node in nodes) > MAX_ENUM_VALUES,
    }
    for problem, found in counts.items():
        if found:
            raise ContractDefinitionError(
                owner=owner, problem=f"{problem}, which strict mode does not take", fix="ask for less in one call"
            )


def _all(node: Schema) -> Iterator[Schema]:
    yield node
    for child in children(node):
        yield from _all(child)


def _depth(node: Schema, definitions: Mapping[str, Schema], path: tuple[str, ...]) -> int:
    if "$ref" in node:
        name = _definition(node["$ref"])
        return 0 if name in path else _depth(definitions[name], definitions, (*path, name))
    deepest = max((_depth(child, definitions, path) for child in children(node)), default=0)
    return deepest + (node.get("type") == "object")
