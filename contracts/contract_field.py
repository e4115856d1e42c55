"""`ContractField`: one field of a contract, whatever kind of class declared it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stratum.contracts.annotation import CONTRACT_MARK, contracts_within
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.opaque import is_opaque

_FIELDS: Final = "__stratum_fields__"


class ContractField(msgspec.Struct, frozen=True, kw_only=True):
    """What a contract says of one field."""

    name: str
    wire_name: str
    """Its alias, where it has one."""
    annotation: Any
    """Resolved; `Annotated` where it carries constraints."""
    opaque: bool
    default: Any = msgspec.NODEFAULT


def fields_of(cls: type[Any]) -> Mapping[str, ContractField]:
    """The fields of a contract by name, in the order they were declared.

    Raises:
        ContractDefinitionError: a field has several aliases, or one that is a path, or is no part of the constructor.
    """
    known: Mapping[str, ContractField] | None = cls.__dict__.get(_FIELDS)
    if known is None:
        known = _of_struct(cls) if issubclass(cls, msgspec.Struct) else _of_pydantic(cls)
        if cls.__dict__.get(CONTRACT_MARK):  # else an annotation may still have to be resolved
            setattr(cls, _FIELDS, known)
    return known


def opaque_at(annotation: Any, path: tuple[str | int, ...]) -> bool:
    """True where a value of type `annotation` holds something opaque at `path`, or is itself within it."""
    if is_opaque(annotation):
        return True
    names = [step for step in path if isinstance(step, str)]
    return any(_opaque_field(cls, names) for cls in contracts_within(annotation))


def _opaque_field(cls: type, names: Sequence[str]) -> bool:
    by_wire_name = {field.wire_name: field for field in fields_of(cls).values()}
    for number, name in enumerate(names):  # steps before it may be keys of a dict
        if name in by_wire_name:
            return opaque_at(by_wire_name[name].annotation, tuple(names[number + 1 :]))
    return False


def _of_struct(cls: type[msgspec.Struct]) -> dict[str, ContractField]:
    return {
        field.name: ContractField(
            name=field.name,
            wire_name=field.encode_name,
            annotation=field.type,
            opaque=is_opaque(field.type),
            default=field.default,
        )
        for field in msgspec.structs.fields(cls)
    }


def _of_pydantic(cls: type[Any]) -> dict[str, ContractField]:
    known: Mapping[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    fields: dict[str, ContractField] = {}
    for name, info in known.items():
        if info.init is False:
            raise ContractDefinitionError(
                owner=cls.__name__, field=name, problem="the constructor does not set it", fix="make it a property"
            )
        annotation = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        fields[name] = ContractField(
            name=name,
            wire_name=_wire_name(cls, name, info),
            annotation=annotation,
            opaque=is_opaque(annotation),
            default=msgspec.NODEFAULT if info.default is PydanticUndefined else info.default,
        )
    return fields


def _wire_name(cls: type, name: str, info: FieldInfo) -> str:
    if info.validation_alias is None:
        return name
    if isinstance(info.validation_alias, str):
        return info.validation_alias
    raise ContractDefinitionError(
        owner=cls.__name__, field=name, problem="it has several aliases or a path", fix="give it one alias, a string"
    )
