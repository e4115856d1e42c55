"""Classes that no contract can be made of: each is told what to write instead."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from typing import Any, Final, is_typeddict

import msgspec
from pydantic import BaseModel

from stratum.contracts.annotation import is_class_variable, is_contract
from stratum.contracts.errors import ContractDefinitionError

_OF_PYTHON: Final = (int, float, str, bytes, tuple, list, dict, set, frozenset)
"""What holds something else than fields."""


def refuse_unfit_class(cls: Any) -> None:
    """Whatever stands below `@contract`.

    Raises:
        ContractDefinitionError: it is no class, one of another kind, or a contract already.
    """
    name: str = getattr(cls, "__qualname__", repr(cls))
    if not isinstance(cls, type):
        raise ContractDefinitionError(owner=name, problem="it is not a class", fix="write @contract above a class")
    if is_contract(cls):
        raise ContractDefinitionError(owner=name, problem="it is a contract already", fix="decorate it once")
    if issubclass(cls, enum.Enum):
        raise ContractDefinitionError(
            owner=name, problem="an Enum is no contract", fix="remove @contract: a field can be an Enum as it is"
        )
    if getattr(cls, "_is_protocol", False):
        raise ContractDefinitionError(
            owner=name, problem="a Protocol has no values", fix="decorate the class that meets it"
        )
    kind = "a TypedDict" if is_typeddict(cls) else next((of.__name__ for of in _OF_PYTHON if issubclass(cls, of)), None)
    if kind is not None:
        raise ContractDefinitionError(
            owner=name, problem=f"a contract has fields, and {kind} is none", fix=f"write `class {cls.__name__}:`"
        )


def refuse_unfit_body(cls: type) -> None:
    """A plain class, which `@contract` is about to make a dataclass.

    Raises:
        ContractDefinitionError: it is one already, or has what would be lost.
    """
    if "__dataclass_fields__" in cls.__dict__:
        raise ContractDefinitionError(
            owner=cls.__name__, problem="it is a dataclass already", fix="remove @dataclass: @contract makes it one"
        )
    if "__init__" in cls.__dict__:
        raise ContractDefinitionError(
            owner=cls.__name__, problem="it has an __init__ of its own", fix="leave it out, or write a __post_init__"
        )
    annotations = inspect.get_annotations(cls)
    for name, annotation in annotations.items():
        if annotation is dataclasses.KW_ONLY or str(annotation).endswith("KW_ONLY"):
            raise ContractDefinitionError(
                owner=cls.__name__, field=name, problem="all fields are passed by name", fix="leave KW_ONLY out"
            )
    known = {*annotations, *(name for base in cls.__mro__ for name in getattr(base, "__dataclass_fields__", ()))}
    for base in cls.__mro__[1:]:
        lost = [name for name in _own_fields(base) if name not in known]
        if lost:
            raise ContractDefinitionError(
                owner=cls.__name__,
                field=lost[0],
                problem=f"it stands in {base.__name__}, which is no contract, and would be lost",
                fix=f"decorate class {base.__name__} with @contract as well",
            )


def _own_fields(base: type) -> list[str]:
    """What the body of a class that is no dataclass declares, and does not keep to itself."""
    if "__dataclass_fields__" in base.__dict__ or issubclass(base, (BaseModel, msgspec.Struct)):
        return []
    return [
        name
        for name, annotation in inspect.get_annotations(base).items()
        if not name.startswith("_") and not is_class_variable(annotation) and "ClassVar" not in str(annotation)
    ]
