"""`@contract`: a plain annotated class becomes a validated, immutable value type."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final, TypeVar, dataclass_transform

import msgspec
import pydantic.dataclasses
from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, SchemaError

from stratum.contracts.annotation import CONTRACT_MARK, check_type, resolve
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.mismatch import violations_of
from stratum.contracts.opaque import is_opaque

T = TypeVar("T")

STRICT: Final = ConfigDict(
    strict=True,
    allow_inf_nan=False,
    extra="forbid",
    val_json_bytes="base64",
    ser_json_bytes="base64",
)
"""What every validator is built with: nothing is coerced, nothing unknown is let through."""


class ContractField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a contract, whatever kind of class declared it."""

    name: str
    wire_name: str
    """Its alias, where it has one."""
    annotation: Any
    """Resolved; `Annotated` where it carries constraints."""
    opaque: bool


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field, dataclasses.field))
def contract(cls: type[T], /) -> type[T]:
    """Make `cls` a contract and return the same class object.

    A plain class gets keyword construction with validation, equality, repr and
    immutability; its methods stay. A pydantic model keeps what it has and becomes as strict.

    Raises:
        ContractDefinitionError: no annotated field, an unsupported type, a constraint or
            a default that cannot hold.
    """
    with _definition_errors(cls):
        if issubclass(cls, BaseModel):
            _adopt_model(cls)
        else:
            _make_dataclass(cls)
    setattr(cls, CONTRACT_MARK, False)
    if not fields_of(cls):
        raise ContractDefinitionError(
            owner=cls.__name__, problem="it has no annotated field", fix="give it one: `name: str`"
        )
    if cls.__dict__["__pydantic_complete__"]:
        complete(cls)
    return cls


def fields_of(cls: type) -> Mapping[str, ContractField]:
    """The fields of a contract by name, in the order they were declared."""
    known: Mapping[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    return {
        name: ContractField(
            name=name,
            wire_name=info.validation_alias if isinstance(info.validation_alias, str) else name,
            annotation=Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation,
            opaque=is_opaque(info.annotation) or any(is_opaque(Annotated[str, item]) for item in info.metadata),
        )
        for name, info in known.items()
    }


def complete(cls: type) -> None:
    """Check the fields; first build what had to wait for a class that is defined later.

    Raises:
        ContractDefinitionError: a field's type is unsupported, or still not defined.
    """
    if cls.__dict__[CONTRACT_MARK]:
        return
    if not cls.__dict__["__pydantic_complete__"]:
        with _definition_errors(cls):
            _rebuild(cls)
    for field in fields_of(cls).values():
        check_type(field.annotation, owner=cls.__name__, field=field.name)
    setattr(cls, CONTRACT_MARK, True)


def _make_dataclass(cls: type) -> None:
    if "__dataclass_fields__" in cls.__dict__:
        raise ContractDefinitionError(
            owner=cls.__name__, problem="it is a dataclass already", fix="remove @dataclass: @contract makes it one"
        )
    cls.__annotations__ = resolve(
        inspect.get_annotations(cls), qualname=cls.__qualname__, module=cls.__module__, names={cls.__name__: cls}
    )
    for name in cls.__annotations__:
        _move_field_into_annotation(cls, name)
    pydantic.dataclasses.dataclass(cls, frozen=True, kw_only=True, config=STRICT)
    _raise_our_errors(cls)


def _move_field_into_annotation(cls: type, name: str) -> None:
    # `x: int = Field(...)` is moved into `Annotated`: left as the default, pydantic takes
    # the field for a positional one and puts it before all others, and the order of fields
    # is the order in which a model writes them.
    info = cls.__dict__.get(name)
    if not isinstance(info, FieldInfo):
        return
    cls.__annotations__[name] = Annotated[cls.__annotations__[name], info]
    if info.default is PydanticUndefined or info.default is ...:
        delattr(cls, name)
    else:
        setattr(cls, name, info.default)


def _adopt_model(cls: type[BaseModel]) -> None:
    if cls.model_config.get("extra") == "allow":
        raise ContractDefinitionError(
            owner=cls.__name__, problem='extra="allow" lets unknown fields through', fix="remove it, or declare a dict"
        )
    cls.model_config = ConfigDict(**{**cls.model_config, **STRICT, "frozen": True})  # type: ignore[typeddict-item]
    cls.model_rebuild(force=True, raise_errors=False)
    _raise_our_errors(cls)


def _rebuild(cls: Any) -> None:
    if issubclass(cls, BaseModel):
        cls.model_rebuild(force=True)
    else:
        pydantic.dataclasses.rebuild_dataclass(cls, force=True)
        _raise_our_errors(cls)


def _raise_our_errors(cls: Any) -> None:
    """Make construction raise `ContractViolation` instead of pydantic's error."""
    validating_init = cls.__init__

    @functools.wraps(validating_init)
    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        if not cls.__pydantic_complete__:
            complete(cls)
        try:
            validating_init(self, *args, **kwargs)
        except ValidationError as error:
            raise ContractViolation(contract=cls.__name__, violations=violations_of(error, kwargs)) from error

    cls.__init__ = __init__


@contextmanager
def _definition_errors(cls: type) -> Iterator[None]:
    try:
        yield
    except (PydanticUserError, SchemaError, TypeError, ValueError) as error:
        raise ContractDefinitionError(
            owner=cls.__name__, problem=str(error).splitlines()[0], fix="correct the class"
        ) from error
