"""What pydantic needs to know to validate a msgspec Struct as strictly as any other contract."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.strict import STRICT_CORE

_CONSTRAINTS: Final = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "description")


def check_struct(cls: type[msgspec.Struct]) -> None:
    """Refuse what a contract cannot be: mutable, or written otherwise than as an object of its fields.

    Raises:
        ContractDefinitionError: names the option.
    """
    options = cls.__struct_config__
    wrong = {
        "it is mutable": not options.frozen,
        "it is written as an array": options.array_like,
        "its tag is not one of its fields": options.tag is not None,
    }
    for problem, found in wrong.items():
        if found:
            raise ContractDefinitionError(
                owner=cls.__name__,
                problem=problem,
                fix="declare it with frozen=True, without array_like and tag (a Literal field does what a tag does)",
            )


def struct_core_schema(cls: type[msgspec.Struct], source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Fields as a typed dict, then the Struct; set as `__get_pydantic_core_schema__` on the class."""
    declared = msgspec.structs.fields(cls)
    names = {field.encode_name: field.name for field in declared}
    fields = core_schema.typed_dict_schema(
        {field.encode_name: core_schema.typed_dict_field(_field_schema(field, handler)) for field in declared},
        extra_behavior="forbid",
        config=STRICT_CORE,
        metadata={"pydantic_js_updates": {"description": cls.__doc__}} if cls.__doc__ else {},
    )

    def build(values: dict[str, Any]) -> Any:
        return cls(**{names[name]: value for name, value in values.items()})

    def check(instance: Any, validate: Callable[[Any], Any]) -> Any:
        validate({field.encode_name: getattr(instance, field.name) for field in declared})
        return instance

    return core_schema.json_or_python_schema(
        json_schema=core_schema.no_info_after_validator_function(build, fields),
        python_schema=core_schema.chain_schema(
            [core_schema.is_instance_schema(cls), core_schema.no_info_wrap_validator_function(check, fields)]
        ),
    )


def _field_schema(field: msgspec.structs.FieldInfo, handler: GetCoreSchemaHandler) -> CoreSchema:
    schema = handler.generate_schema(_with_pydantic_constraints(field.type))
    if field.default is not msgspec.NODEFAULT:
        return core_schema.with_default_schema(schema, default=field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return core_schema.with_default_schema(schema, default_factory=field.default_factory)
    return schema


def _with_pydantic_constraints(annotation: Any) -> Any:
    """The annotation with each `msgspec.Meta` said as a `pydantic.Field`, which pydantic would ignore."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        metadata = [_as_field(item) if isinstance(item, msgspec.Meta) else item for item in annotation.__metadata__]
        return Annotated[_with_pydantic_constraints(annotation.__origin__), *metadata]
    if not arguments or origin is Literal:
        return annotation
    inner = tuple(_with_pydantic_constraints(argument) for argument in arguments)
    if origin is types.UnionType or origin is Union:
        return functools.reduce(lambda left, right: left | right, inner)
    return origin[inner]


def _as_field(meta: msgspec.Meta) -> Any:
    constraints = {name: getattr(meta, name) for name in _CONSTRAINTS}
    return Field(**{name: value for name, value in constraints.items() if value is not None})
