"""Annotations: resolved to types, taken apart, and named for people."""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, ForwardRef, Literal, Union, get_args, get_origin

CONTRACT_MARK: Final = "__stratum_contract__"
"""In the `__dict__` of every class that `@contract` has made a contract."""


def is_contract(cls: object) -> bool:
    """True for a class that was itself decorated; a subclass of a contract is not one until it is too."""
    return isinstance(cls, type) and CONTRACT_MARK in cls.__dict__


def contract_of(value: object) -> type[Any] | None:
    """The contract that `value` is an instance of."""
    cls = type(value)
    return cls if is_contract(cls) else None


def resolve(
    annotations: Mapping[str, Any], *, qualname: str, module_names: Mapping[str, Any], names: Mapping[str, Any]
) -> dict[str, Any]:
    """The annotations with strings evaluated where every name in them is known by now; others stay as they are.

    Names are looked up as Python would at the definition: in the module, in the functions
    and classes around `qualname` that are still running, and in `names`.
    """
    local_names = {**_enclosing_names(qualname, module_names), **names}
    return {name: _resolve_one(annotation, module_names, local_names) for name, annotation in annotations.items()}


def is_resolved(annotation: Any) -> bool:
    """False where a name in it still has to be defined."""
    if isinstance(annotation, (str, ForwardRef)):
        return False
    return get_origin(annotation) is Literal or all(is_resolved(argument) for argument in get_args(annotation))


def is_class_variable(annotation: Any) -> bool:
    """True for `ClassVar`, which declares no field."""
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def type_name(annotation: Any) -> str:
    """As a person would write it: `RiskAssessment`, `list[int]`, `Literal["low", "high"]`, `str | None`."""
    annotation = strip(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is None or annotation is types.NoneType:
        return "None"
    if origin is Literal:
        return f"Literal[{', '.join(_literal_name(value) for value in arguments)}]"
    if is_union(origin):
        return " | ".join(type_name(argument) for argument in arguments)
    if origin is not None:
        inner = ", ".join("..." if argument is Ellipsis else type_name(argument) for argument in arguments)
        return f"{getattr(origin, '__name__', origin)}[{inner}]"
    return str(getattr(annotation, "__name__", annotation))


def strip(annotation: Any) -> Any:
    """The type beneath `Annotated`, `NewType` and `type` aliases."""
    while True:
        annotation = unaliased(annotation)
        if get_origin(annotation) is not Annotated:
            return annotation
        annotation = annotation.__origin__


def unaliased(annotation: Any) -> Any:
    """What a `NewType` or a `type` alias stands for, `Annotated` as it is; any other annotation itself."""
    while is_alias(annotation):
        annotation = stands_for(annotation)
    return annotation


def expanded(annotation: Any) -> Any:
    """The same type without an alias anywhere in it."""
    annotation = unaliased(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None or origin is Literal:
        return annotation
    if origin is Annotated:
        return Annotated[expanded(annotation.__origin__), *annotation.__metadata__]
    inner = tuple(map(expanded, arguments))
    if inner == arguments:
        return annotation
    return Union[inner] if is_union(origin) else origin[inner]  # noqa: UP007  # of as many as there are


def is_alias(annotation: Any) -> bool:
    """True for a `NewType` and for what a `type` statement makes."""
    return isinstance(annotation, typing.NewType) or type(annotation).__name__ == "TypeAliasType"  # from 3.12 on


def stands_for(alias: Any) -> Any:
    """One step: an alias may stand for another."""
    return alias.__supertype__ if isinstance(alias, typing.NewType) else alias.__value__


def is_union(origin: Any) -> bool:
    """True for the origin of `A | B` and of `Union[A, B]`."""
    return origin is Union or origin is types.UnionType


def contracts_within(annotation: Any) -> Iterator[type]:
    """The contract classes an annotation names, without going into them."""
    annotation = strip(annotation)
    if is_contract(annotation):
        yield annotation
    if get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from contracts_within(argument)


def _literal_name(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) and not isinstance(value, enum.Enum) else str(value)


def _resolve_one(annotation: Any, module_names: Mapping[str, Any], local_names: dict[str, Any]) -> Any:
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    try:
        return typing.get_type_hints(holder, dict(module_names), local_names, include_extras=True)["it"]
    except NameError:
        return annotation


def _enclosing_names(qualname: str, module_names: Mapping[str, Any]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    frame = inspect.currentframe()
    while frame is not None:
        code_name = frame.f_code.co_qualname
        around = qualname.startswith((f"{code_name}.<locals>.", f"{code_name}."))
        if around and frame.f_globals is module_names:
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names
