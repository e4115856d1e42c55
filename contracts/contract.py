"""`@contract`: a plain annotated class becomes a validated, immutable value type."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar, dataclass_transform, overload

import msgspec
import pydantic.dataclasses
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stratum.contracts.annotation import (
    CONTRACT_MARK,
    is_class_variable,
    is_resolved,
    resolve,
)
from stratum.contracts.contract_field import ContractField, fields_of, opaque_at
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.literal_kinds import kind_validator
from stratum.contracts.mismatch import violations_of
from stratum.contracts.strict import STRICT, adapter_of, definition_errors, is_constrained
from stratum.contracts.struct_schema import check_struct, struct_core_schema
from stratum.contracts.supported_type import check_type
from stratum.contracts.unfit_class import refuse_unfit_body, refuse_unfit_class

T = TypeVar("T")

# A pattern must not be able to hang: pydantic's own engine is linear, Python's is not.
MODEL: Final = ConfigDict(**STRICT, frozen=True, regex_engine="rust-regex")
"""The configuration of a pydantic model that is a contract."""


@overload
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field, dataclasses.field))
def contract(cls: type[T], /) -> type[T]: ...
@overload
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field, dataclasses.field))
def contract() -> Callable[[type[T]], type[T]]: ...
def contract(cls: type[T] | None = None, /) -> type[T] | Callable[[type[T]], type[T]]:
    """Make `cls` a contract and return the same class object; `@contract` or `@contract()`.

    A plain class gets keyword construction with validation, equality, repr and
    immutability; its methods stay. A pydantic model keeps what it has and becomes as strict. So
    does a frozen msgspec Struct, except that its constructor, as always, does not validate:
    a step's arguments and results do.

    Raises:
        ContractDefinitionError: no annotated field, an unsupported type, a constraint or
            a default that cannot hold.
    """
    if cls is None:
        return contract
    refuse_unfit_class(cls)
    setattr(cls, CONTRACT_MARK, False)  # first, since a field may name the class itself
    try:
        _make_contract(cls)
    except ContractDefinitionError:
        delattr(cls, CONTRACT_MARK)
        raise
    return cls


def complete(cls: type) -> None:
    """Check the fields; first build what had to wait for a class that is defined later.

    Raises:
        ContractDefinitionError: a field's type is unsupported, or still not defined.
    """
    if cls.__dict__[CONTRACT_MARK]:
        return
    if not cls.__dict__["__pydantic_complete__"]:
        with definition_errors(cls.__name__):
            _rebuild(cls)
    for field in fields_of(cls).values():
        check_type(field.annotation, owner=cls.__name__, field=field.name)
    _tell_kinds(cls)
    setattr(cls, CONTRACT_MARK, True)
    for field in fields_of(cls).values():
        _check_field(field, owner=cls.__name__)


def _make_contract(cls: type[Any]) -> None:
    if issubclass(cls, BaseModel):
        _adopt_model(cls)
    elif issubclass(cls, msgspec.Struct):
        _adopt_struct(cls)
    else:
        _make_dataclass(cls)
    if not fields_of(cls):
        raise ContractDefinitionError(
            owner=cls.__name__, problem="it has no annotated field", fix="give it one: `name: str`"
        )
    if cls.__dict__["__pydantic_complete__"]:
        complete(cls)


def _make_dataclass(cls: type) -> None:
    refuse_unfit_body(cls)
    with definition_errors(cls.__name__):
        cls.__annotations__ = resolve(
            inspect.get_annotations(cls),
            qualname=cls.__qualname__,
            module_names=getattr(sys.modules.get(cls.__module__), "__dict__", {}),
            names={cls.__name__: cls},
        )
    for name, annotation in cls.__annotations__.items():
        if is_resolved(annotation) and not is_class_variable(annotation):
            check_type(annotation, owner=cls.__name__, field=name)
        _move_field_into_annotation(cls, name)
    try:
        with definition_errors(cls.__name__):
            pydantic.dataclasses.dataclass(cls, frozen=True, kw_only=True, config=STRICT)
    except ContractDefinitionError:
        for name, annotation in cls.__annotations__.items():
            adapter_of(annotation, owner=cls.__name__, field=name)  # raises the same, naming the field
        raise
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


def _tell_kinds(cls: Any) -> None:
    """Have construction tell true from 1; the schema stays, which others are derived from."""
    if not issubclass(cls, msgspec.Struct):  # whose constructor validates nothing
        cls.__pydantic_validator__ = kind_validator(cls.__pydantic_core_schema__) or cls.__pydantic_validator__


def _check_field(field: ContractField, *, owner: str) -> None:
    """Build its validator alone, so that what is wrong has a name; pass the default through it."""
    if field.default is msgspec.NODEFAULT and not is_constrained(field.annotation):
        return
    adapter = adapter_of(field.annotation, owner=owner, field=field.name)
    if field.default is msgspec.NODEFAULT:
        return
    try:
        (kind_validator(adapter.core_schema) or adapter.validator).validate_python(field.default)
    except ValidationError as error:
        mismatch = violations_of(error, field.default)[0].for_prompt.removeprefix("schema: ")
        raise ContractDefinitionError(
            owner=owner, field=field.name, problem=f"its default does not fit: {mismatch}", fix="correct one of them"
        ) from error


def _adopt_model(cls: type[BaseModel]) -> None:
    if cls.model_config.get("extra") == "allow":
        raise ContractDefinitionError(
            owner=cls.__name__, problem='extra="allow" lets unknown fields through', fix="remove it, or declare a dict"
        )
    adopted: ConfigDict = {**cls.model_config, **MODEL}
    if cls.model_config != adopted:
        cls.model_config = adopted
        cls.model_rebuild(force=True, raise_errors=False)
    _raise_our_errors(cls)


def _adopt_struct(cls: type[msgspec.Struct]) -> None:
    check_struct(cls)
    # Set from outside: a Struct's class body is closed once msgspec has made the class.
    cls.__get_pydantic_core_schema__ = classmethod(struct_core_schema)  # type: ignore[attr-defined]
    cls.__pydantic_complete__ = True  # type: ignore[attr-defined]


def _rebuild(cls: Any) -> None:
    if issubclass(cls, BaseModel):
        cls.model_rebuild(force=True)
    else:
        try:
            pydantic.dataclasses.rebuild_dataclass(cls, force=True)
        finally:  # it has set its own __init__ again, even where it fails
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
            violations = violations_of(error, kwargs, is_hidden=functools.partial(opaque_at, cls))
            raise ContractViolation(contract=cls.__name__, violations=violations) from error

    cls.__init__ = __init__
