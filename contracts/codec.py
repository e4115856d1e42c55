"""`Codec`: one type, compiled once: its schema, its digest, and its way to and from JSON."""

from __future__ import annotations

import functools
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import CoreConfig, SchemaValidator, core_schema, from_json

from stratum.contracts.annotation import check_type, contracts_within, is_contract, strip, type_name
from stratum.contracts.contract import STRICT, complete, fields_of
from stratum.contracts.digest import canonical_json, digest12
from stratum.contracts.errors import ContractViolation
from stratum.contracts.json_value import json_value, split
from stratum.contracts.mismatch import violations_of
from stratum.contracts.opaque import is_opaque
from stratum.contracts.schema import local_schema

T = TypeVar("T")


def codec(annotation: Any, *, owner: str, field: str) -> Codec[Any]:
    """The codec of a type; the same object again for the same type.

    `owner` and `field` say in an error where the type was written.

    Raises:
        ContractDefinitionError: the type, or one within it, is not supported.
    """
    check_type(annotation, owner=owner, field=field)
    _complete_all(annotation)
    try:
        # repr too: `int | str` and `str | int` are equal, but not the same schema.
        return _codec(annotation, repr(annotation))
    except TypeError:  # an annotation with unhashable constraints
        return Codec(annotation)


class Codec(Generic[T]):
    """A type's way to and from JSON. Immutable; what only a provider needs is compiled when first asked for."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        self.name = type_name(annotation)
        self.wrapped = not is_contract(strip(annotation))
        """Not an object on the wire: it goes as `{"value": ...}`."""
        self.opaque = is_opaque(annotation)
        adapter: TypeAdapter[T] = TypeAdapter(annotation, config=STRICT if self.wrapped else None)
        self._python = adapter.validator
        self._core = _wrapped(adapter.core_schema) if self.wrapped else adapter.core_schema
        self._wire = SchemaValidator(self._core, _CONFIG)
        self._plain = SchemaValidator(adapter.core_schema, _CONFIG)

    def decode(self, arguments: bytes) -> T:
        """Read what a model wrote.

        Raises:
            ContractViolation: with everything that is wrong with it.
        """
        try:
            value = self._wire.validate_json(arguments)
        except ValidationError as error:
            raise self._violation(error, _parsed(arguments)) from error
        return value["value"] if self.wrapped else value

    def decode_value(self, value: bytes, *, at: str = "") -> T:
        """Read the value from its own JSON, without the wrapping it has on the wire.

        Violations are placed under `at`, the name of the argument that the value is.

        Raises:
            ContractViolation: with everything that is wrong with it.
        """
        try:
            return self._plain.validate_json(value)
        except ValidationError as error:
            raise self._violation(error, _parsed(value), at=at) from error

    def encode(self, value: T) -> bytes:
        """JSON that `decode` reads back to an equal value, its opaque parts included."""
        plain = json_value(value)
        return msgspec.json.encode({"value": plain} if self.wrapped else plain)

    def validate(self, value: object, *, at: str = "") -> T:
        """Check a Python value, converting nothing; violations are placed under `at`.

        Raises:
            ContractViolation: with everything that is wrong with it.
        """
        try:
            return self._python.validate_python(value)
        except ValidationError as error:
            raise self._violation(error, value, at=at) from error

    def jsonable(self, value: T, *, redact: bool) -> Any:
        """`value` for a trace, as JSON values; with `redact`, opaque parts by their size only."""
        return json_value(value, redact=redact, opaque=self.opaque)

    def split_opaque(self, value: T) -> tuple[Any, Any | None]:
        """What may stand inline in a prompt, and what goes as an attachment, each as JSON values."""
        return split(value, opaque=self.opaque)

    def _violation(self, error: ValidationError, value: object, *, at: str = "") -> ContractViolation:
        return ContractViolation(contract=self.name, violations=violations_of(error, value, at=(at,) if at else ()))

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the object on the wire, with all that is enforced here."""
        return local_schema(self._core)

    @functools.cached_property
    def wire_schema(self) -> bytes:
        """The strict subset that providers take, as JSON; fields in their declared order."""
        return msgspec.json.encode(self.schema)

    @functools.cached_property
    def digest(self) -> str:
        """12 hex characters over the schema; the order of fields does not change it."""
        return digest12(canonical_json(self.schema))

    min_output_tokens = 16
    max_output_tokens: int | None = None


_CONFIG = CoreConfig(strict=True, allow_inf_nan=False, val_json_bytes="base64", extra_fields_behavior="forbid")

_codec = functools.lru_cache(maxsize=4096)(lambda annotation, _: Codec(annotation))


def _complete_all(annotation: Any, seen: set[type] | None = None) -> None:
    seen = set() if seen is None else seen
    for cls in contracts_within(annotation):
        if cls not in seen:
            seen.add(cls)
            complete(cls)
            for field in fields_of(cls).values():
                _complete_all(field.annotation, seen)


def _wrapped(schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
    if schema["type"] == "definitions":
        return {**schema, "schema": _wrapped(schema["schema"])}
    return core_schema.typed_dict_schema({"value": core_schema.typed_dict_field(schema)}, extra_behavior="forbid")


def _parsed(arguments: bytes) -> object:
    try:
        return from_json(arguments)
    except ValueError:
        return None
