"""Whether what one step returns is what another takes: JSON Schemas compared, as far as types go.

As a type checker would: a value that might not be accepted is refused before its producer was paid for. Ranges,
lengths and patterns are left to the run.
"""

from __future__ import annotations

from collections.abc import Iterator

from stratum.contracts.expressions.fields import Schema, Shape
from stratum.contracts.problem import did_you_mean, shown
from stratum.contracts.reference import is_place

_MAX_DEPTH = 20
"""Recursive types are compared so far; beyond, they are taken to fit."""


class NoSuchField(Exception):
    """Nothing can lie at a path."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


def field_at(value: Shape, path: tuple[str, ...]) -> Shape | None:
    """The part of a value of this shape that lies at `path`; `None` if it is not known what it is.

    Raises:
        NoSuchField: the value has no such part.
    """
    shape: Shape | None = value
    for key in path:
        if shape is None:
            return None
        shape = _member(shape.resolved(), key)
    return shape


def misfit(producer: Shape, consumer: Shape, *, depth: int = 0) -> str:
    """Why values of `producer` may not be accepted as `consumer`; empty if they will be."""
    if depth > _MAX_DEPTH or _anything(consumer):
        return ""
    accepted = list(_alternatives(consumer))
    for given in _alternatives(producer):
        reasons = [_misfit_of_one(given, one, depth) for one in accepted]
        if all(reasons):
            return reasons[0] if len(reasons) == 1 else f"{_named(given)} is none of {_listed(accepted)}"
    return ""


def _misfit_of_one(given: Shape, accepted: Shape, depth: int) -> str:
    if _anything(given) or _anything(accepted):
        return ""
    if "const" in accepted.schema or "enum" in accepted.schema:
        return _misfit_of_values(given, accepted)
    if not _types(given) <= _types(accepted) | ({"integer"} if "number" in _types(accepted) else set()):
        return f"{_named(given)} is not {_named(accepted)}"
    if "object" in _types(accepted):
        return _misfit_of_objects(given, accepted, depth)
    if "array" in _types(accepted):
        return _misfit_of_members(given, accepted, "items", depth)
    return ""


def _misfit_of_values(given: Shape, accepted: Shape) -> str:
    allowed = _values(accepted)
    values = _values(given)
    if values is None:
        return f"{_named(given)} may be other than {shown(allowed)}"
    others = [value for value in values if value not in (allowed or ())]
    return f"it may be {shown(others[0])}, which is not one of {shown(allowed)}" if others else ""


def _misfit_of_objects(given: Shape, accepted: Shape, depth: int) -> str:
    wanted: Schema = accepted.schema.get("properties", {})
    fields: Schema = given.schema.get("properties", {})
    free = not fields and isinstance(given.schema.get("additionalProperties"), dict)
    if wanted and free and accepted.schema.get("additionalProperties") is False:
        return f"{_named(given)} may have any keys, and {_named(accepted)} has its own"
    if not wanted or not fields:
        return _misfit_of_members(given, accepted, "additionalProperties", depth)
    missing = [name for name in accepted.schema.get("required", ()) if name not in fields]
    if missing:
        return f"{_named(given)} has no {shown(missing[0])}, which {_named(accepted)} needs"
    unknown = [name for name in fields if name not in wanted]
    if unknown and accepted.schema.get("additionalProperties") is False:
        return f"{_named(given)} has {shown(unknown[0])}, which {_named(accepted)} does not take"
    for name in fields:
        inner, outer = given.within(fields[name]), accepted.within(wanted.get(name))
        if inner is not None and outer is not None and (reason := misfit(inner, outer, depth=depth + 1)):
            return f"{name}: {reason}"
    return ""


def _misfit_of_members(given: Shape, accepted: Shape, key: str, depth: int) -> str:
    inner, outer = given.within(given.schema.get(key)), accepted.within(accepted.schema.get(key))
    return "" if inner is None or outer is None else misfit(inner, outer, depth=depth + 1)


def _member(shape: Shape, key: str) -> Shape | None:
    types = _types(shape)
    if types == {"array"}:
        if not is_place(key):
            raise NoSuchField(f"it is a list, which has no {shown(key)}", 'write a place in it, such as ".0"')
        return shape.within(shape.schema.get("items"))
    if types == {"object"}:
        if shape.fields is not None and key not in shape.fields:
            fix = did_you_mean(key, shape.fields, otherwise="it has no fields")
            raise NoSuchField(f"there is no field {shown(key)}", fix)
        fields: Schema = shape.schema.get("properties", {})
        return shape.within(fields.get(key, shape.schema.get("additionalProperties")))
    if types and not types & {"array", "object"}:
        raise NoSuchField(f"{_named(shape)} has no parts", "refer to the whole of it")
    return None


def _alternatives(shape: Shape) -> Iterator[Shape]:
    """The members of a union, those of unions within it included."""
    waiting = [shape]
    for _ in range(100):  # a definition may refer to itself
        if not waiting:
            return
        shape = waiting.pop(0)
        if "$ref" in shape.schema:
            name = str(shape.schema["$ref"]).rsplit("/", 1)[-1]
            waiting.insert(0, Shape(shape.root.get("$defs", {}).get(name, {}), shape.root))
        elif options := shape.schema.get("anyOf") or shape.schema.get("oneOf"):
            waiting[:0] = [option for each in options if (option := shape.within(each)) is not None]
        else:
            yield shape


def _anything(shape: Shape) -> bool:
    return not shape.schema.keys() & {"type", "enum", "const", "$ref", "anyOf", "oneOf"}


def _types(shape: Shape) -> set[str]:
    values = _values(shape)
    if values is not None:
        return {_JSON_TYPES[type(value)] for value in values}
    kind = shape.schema.get("type", ())
    return {kind} if isinstance(kind, str) else set(kind)


def _values(shape: Shape) -> list[object] | None:
    if "const" in shape.schema:
        return [shape.schema["const"]]
    return list(shape.schema["enum"]) if "enum" in shape.schema else None


def _named(shape: Shape) -> str:
    title = shape.schema.get("title")
    kinds = _types(shape)
    return str(title) if title and "object" in kinds else " or ".join(_WORDS.get(kind, kind) for kind in sorted(kinds))


def _listed(shapes: list[Shape]) -> str:
    return ", ".join(_named(shape) for shape in shapes)


_JSON_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}
_WORDS = {
    "string": "a string",
    "boolean": "a boolean",
    "integer": "an integer",
    "number": "a number",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
