"""JSON Schemas that a plan writes, read as annotations.

So a type that a plan declares is a contract like any other: the same codec validates it, sends it to a model and
words what is wrong with a value.
"""

from __future__ import annotations

import json
import keyword
import math
from collections import OrderedDict
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Union, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, create_model

from stratum.contracts.codec import Codec, codec
from stratum.contracts.contract import MODEL, contract
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.expressions.limits import Pattern
from stratum.contracts.problem import at, did_you_mean, shown
from stratum.contracts.reference import MAX_DEPTH, Malformed
from stratum.contracts.schema import MAX_DEPTH as MAX_OBJECT_DEPTH
from stratum.contracts.schema import MAX_ENUM_VALUES
from stratum.contracts.shape import is_dict, is_sequence
from stratum.contracts.strict import definition_errors
from stratum.contracts.type_reference import Names

MAX_SCHEMAS = 1000
"""Schemas in all, those within others and every use of a definition included: each becomes a validator."""


KEPT: Final = 256
"""Schemas that were read last: a plan that is revised, or its like, has mostly the same."""
_kept: OrderedDict[tuple[str, bytes], tuple[Any, Codec[Any]]] = OrderedDict()
"""By name and schema, those that refer to nothing outside; each with its codec, which nobody else may hold yet."""


class SchemaReader:
    """Reads a plan's JSON Schemas as annotations; `problems` collects everything that is wrong with them.

    Only keywords that are enforced are taken: one that was misspelt would be a promise not kept.
    """

    def __init__(self, names: Names) -> None:
        """`names` knows the contracts that a schema may refer to."""
        self.problems: list[Malformed] = []
        self._names = names
        self._count = 0
        self._depth = self._deepest = 0
        self._enum_values = 0
        self._name = self._path = ""
        self._definitions: Mapping[str, Any] = {}
        self._resolving: list[str] = []
        self._on_its_own = True
        """Nothing outside of the schema was referred to."""

    def read(self, schema: Mapping[str, Any], *, name: str, path: str) -> Any:
        """What the schema, found at `path`, stands for; `Any` if something is wrong with it.

        Objects become classes called `name` or after it.
        """
        key = name, _written(schema)
        if (kept := _kept.pop(key, None)) is not None:
            _kept[key] = kept
            return kept[0]
        outer = self._name, self._path, self._definitions, self._resolving
        self._on_its_own = True
        self._deepest = self._enum_values = 0
        self._name, self._path, self._definitions, self._resolving = name, path, _mapping(schema.get("$defs")), []
        known = len(self.problems)
        try:
            annotation = self._inner(schema, path, name)
            if len(self.problems) == known:
                self._try_out(annotation, key)
        except _Abandoned as abandoned:
            self.problems.append(Malformed(abandoned.path, abandoned.problem, abandoned.fix))
            return Any
        finally:
            # `names` may have a contract read while another is.
            self._name, self._path, self._definitions, self._resolving = outer
        return annotation if len(self.problems) == known else Any

    def _try_out(self, annotation: Any, key: tuple[str, bytes]) -> None:
        try:
            compiled = codec(annotation, owner=self._name, field="")
            if self._may_exceed_limits():
                _ = compiled.wire_schema
        except ContractDefinitionError as error:
            self.problems.append(Malformed(self._path, error.problem, error.fix))
            return
        if self._on_its_own and key[1]:
            _kept[key] = annotation, compiled
            if len(_kept) > KEPT:
                _kept.popitem(last=False)

    def _may_exceed_limits(self) -> bool:
        """Of strict mode; known for sure once the schema for a provider is made, which takes as long as all else.

        So few schemas cannot have too many properties.
        """
        small = self._deepest < MAX_OBJECT_DEPTH and self._enum_values <= MAX_ENUM_VALUES
        return not (small and self._on_its_own)

    def _inner(self, schema: object, path: str, name: str) -> Any:
        self._count += 1
        self._depth += 1
        self._deepest = max(self._deepest, self._depth)
        try:
            if self._count > MAX_SCHEMAS:
                fix = "declare types once, under `contracts`, or take some from the functions"
                raise _Abandoned(path, f"the plan has more than {MAX_SCHEMAS:,} schemas", fix)
            if self._depth > MAX_DEPTH:
                raise _Abandoned(path, f"it is nested deeper than {MAX_DEPTH} levels", "make it flatter")
            return self._read(schema, path, name)
        except _Abandoned:
            raise
        except Malformed as malformed:
            self.problems.append(malformed)
        except ContractDefinitionError as error:
            field = f"{error.field}: " if error.field else ""
            self.problems.append(Malformed(path, f"{field}{error.problem}", error.fix))
        finally:
            self._depth -= 1
        return Any

    def _read(self, schema: object, path: str, name: str) -> Any:
        if not is_dict(schema):
            raise Malformed(path, f"{shown(schema)} is not a JSON Schema", 'write an object such as {"type": "string"}')
        members = schema
        if "$ref" in members:
            return self._referenced(members["$ref"], path)
        if "anyOf" in members:
            self._check_keywords(members, _ANYWHERE | {"anyOf"}, path)
            return self._union(members["anyOf"], path, name)
        if "const" in members or "enum" in members:
            self._check_keywords(members, _ANYWHERE | {"const", "enum", "type"}, path)
            values = _enumerated(members, path)
            self._enum_values += len(values)
            return Literal[values]
        kind = members.get("type")
        if is_sequence(kind):
            options = [{**members, "type": each} for each in kind]
            return self._union(options, path, name)
        if not isinstance(kind, str) or kind not in _KEYWORDS:
            fix = did_you_mean(kind if isinstance(kind, str) else "", _KEYWORDS, otherwise="")
            raise Malformed(at(path, "type"), f"{shown(kind)} is not a type", fix)
        self._check_keywords(members, _ANYWHERE | _KEYWORDS[kind], path)
        self._check_constraints(members, path)
        return self._described(members, self._of_type(kind, members, path, name))

    def _of_type(self, kind: str, members: Mapping[str, Any], path: str, name: str) -> Any:
        if kind == "object":
            return self._object(members, path, name)
        if kind == "array":
            items = self._inner(members.get("items"), at(path, "items"), f"{name}Item")
            return list[items]  # type: ignore[valid-type]  # made at run time
        if kind == "string" and "format" in members:
            formats = _FORMATS.get(members["format"])
            if formats is None:
                known = did_you_mean(str(members["format"]), _FORMATS, otherwise="")
                raise Malformed(at(path, "format"), f"the format {shown(members['format'])} is not known", known)
            return formats
        return _SIMPLE[kind]

    def _object(self, members: Mapping[str, Any], path: str, name: str) -> Any:
        fields, others = members.get("properties"), members.get("additionalProperties", False)
        if fields is None and others not in (False, True):
            item = self._inner(others, at(path, "additionalProperties"), f"{name}Value")
            return dict[str, item]  # type: ignore[valid-type]  # made at run time
        if not is_dict(fields) or not fields:
            raise Malformed(path, "it has no properties", 'give it "properties", or "additionalProperties" with a type')
        if others is not False:
            raise Malformed(at(path, "additionalProperties"), "fields beyond properties are not kept", "remove it")
        required = members.get("required", [])
        self._check_required(required, fields, path)
        return self._model(fields, set(required), path, name)

    def _model(self, fields: Mapping[str, Any], required: set[str], path: str, name: str) -> Any:
        definitions: dict[str, Any] = {}
        known = len(self.problems)
        for number, (field, schema) in enumerate(fields.items()):
            annotation = self._inner(schema, at(at(path, "properties"), field), f"{name}_{field}")
            if field not in required:
                annotation = annotation | None
            default = ... if field in required else None
            attribute = field if _is_attribute(field) else f"field_{number}"
            definitions[attribute] = (annotation, Field(default, alias=None if attribute == field else field))
        if len(self.problems) > known:
            return Any
        with definition_errors(name):
            model = create_model(name, __config__=_CONFIG, **definitions)
        return contract(model)

    def _union(self, options: object, path: str, name: str) -> Any:
        if not is_sequence(options) or not options:
            raise Malformed(path, "anyOf has no alternatives", 'write "anyOf": [{...}, {"type": "null"}]')
        read = [
            self._inner(option, at(at(path, "anyOf"), index), f"{name}{index + 1}")
            for index, option in enumerate(options)
        ]
        return Union[tuple(read)]  # noqa: UP007 - made at run time

    def _referenced(self, reference: object, path: str) -> Any:
        name = str(reference).removeprefix("#/$defs/")
        if name in self._resolving:
            raise Malformed(path, f"{shown(name)} refers to itself", "write out as many levels as are needed")
        if name not in self._definitions:
            try:
                found = self._names(name)
                self._on_its_own = False  # afterwards: it may have had another schema read
                return found
            except LookupError:
                known = did_you_mean(name, self._definitions, otherwise="define it under $defs, or among the contracts")
                raise Malformed(at(path, "$ref"), f"{shown(reference)} is not defined", known) from None
        self._resolving.append(name)
        try:
            return self._inner(self._definitions[name], at(at(self._path, "$defs"), name), name)
        finally:
            self._resolving.pop()

    def _described(self, members: Mapping[str, Any], annotation: Any) -> Any:
        given = {key: members[word] for word, key in _CONSTRAINTS.items() if word in members}
        return Annotated[annotation, Field(**given)] if given else annotation

    def _check_keywords(self, members: Mapping[str, Any], known: frozenset[str], path: str) -> None:
        for word in members:
            if word not in known:
                fix = did_you_mean(word, sorted(known), otherwise="remove it")
                self.problems.append(Malformed(at(path, word), f"there is no keyword {shown(word)} here", fix))

    def _check_constraints(self, members: Mapping[str, Any], path: str) -> None:
        for word in members.keys() & _CONSTRAINTS.keys():
            expected = _unfit(word, members[word])
            if expected:
                self.problems.append(Malformed(at(path, word), f"it is {shown(members[word])}", f"give it {expected}"))

    def _check_required(self, required: object, fields: Mapping[str, Any], path: str) -> None:
        if not is_sequence(required):
            raise Malformed(at(path, "required"), "it is not a list of names", 'write "required": ["name"]')
        for index, field in enumerate(required):
            if field not in fields:
                fix = did_you_mean(str(field), fields, otherwise="")
                self.problems.append(Malformed(at(at(path, "required"), index), f"there is no {shown(field)}", fix))


class _Abandoned(Malformed):
    """A schema that is not read to its end, since that would take too long."""


def _enumerated(members: Mapping[str, Any], path: str) -> tuple[Any, ...]:
    values = [members["const"]] if "const" in members else members["enum"]
    if not is_sequence(values) or not values:
        raise Malformed(at(path, "enum"), "it has no values", 'write "enum": ["low", "high"]')
    if len(values) > MAX_ENUM_VALUES:  # refused here, since building a type of 300,000 takes seconds
        raise Malformed(at(path, "enum"), f"it has more than {MAX_ENUM_VALUES:,} values", "use a type without them")
    for value in values:
        if not isinstance(value, (str, int, type(None))):
            raise Malformed(at(path, "enum"), f"{shown(value)} cannot be one of its values", "use strings or integers")
    return tuple(values)


def _unfit(word: str, value: object) -> str:
    """What the value of a constraint has to be; empty if that is what it is."""
    if word == "description":
        return "" if isinstance(value, str) else "a text"
    if word == "pattern":
        try:
            Pattern(str(value))
        except ValueError as error:
            return f"a pattern of at most 500 characters: {error}"
        return ""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if word in ("minLength", "maxLength", "minItems", "maxItems"):
        return "" if number and isinstance(value, int) and 0 <= value < 2**31 else "a whole number, 0 or more"
    if word == "multipleOf":
        return "" if number and cast("float", value) > 0 else "a number above 0"
    return "" if number else "a number"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if is_dict(value) else {}


def _is_attribute(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and not keyword.iskeyword(name) and name not in _TAKEN


_CONFIG: Final = ConfigDict(**MODEL, protected_namespaces=())
"""A contract's from the start, so that the model is built once."""
_TAKEN = frozenset(dir(BaseModel))
_SIMPLE: Mapping[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None)}
_FORMATS: Mapping[str, Any] = {"date": date, "date-time": datetime, "uuid": UUID}
_ANYWHERE = frozenset({"title", "description", "$defs"})
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"type", "minLength", "maxLength", "pattern", "format"}),
    "integer": frozenset({"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "number": frozenset({"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "boolean": frozenset({"type"}),
    "null": frozenset({"type"}),
    "array": frozenset({"type", "items", "minItems", "maxItems"}),
    "object": frozenset({"type", "properties", "required", "additionalProperties"}),
}
_CONSTRAINTS: Mapping[str, str] = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
    "description": "description",
}


def _written(schema: Mapping[str, Any]) -> bytes:
    """To know it again by, the order of its properties included; empty where it cannot be written."""
    try:
        return json.dumps(schema, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return b""
