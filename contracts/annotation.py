"""Annotations: resolved to types, named for people, and checked to be something a contract can be made of."""

from __future__ import annotations

import enum
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, ForwardRef, Literal, NoReturn, Union, get_args, get_origin
from uuid import UUID

from stratum.contracts.errors import ContractDefinitionError

CONTRACT_MARK: Final = "__stratum_contract__"
"""In the `__dict__` of every class that `@contract` has made a contract."""

LEAVES: Final = frozenset({str, int, float, bool, types.NoneType, date, datetime, bytes, Decimal, UUID})
CONTAINERS: Final = frozenset({list, set, frozenset, tuple, dict})
KEYS: Final = frozenset({str, int, date, UUID})

_SUPPORTED = (
    "use str, int, float, bool, None, date, datetime, bytes, Decimal, UUID, an Enum of strings or integers, Literal, "
    "unions, list, tuple, set, dict, or a @contract class"
)


def is_contract(cls: object) -> bool:
    """True for a class that was itself decorated; a subclass of a contract is not one until it is too."""
    return isinstance(cls, type) and CONTRACT_MARK in cls.__dict__


def contract_of(value: object) -> type[Any] | None:
    """The contract that `value` is an instance of."""
    cls = type(value)
    return cls if is_contract(cls) else None


def resolve(annotations: Mapping[str, Any], *, qualname: str, module: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations with strings evaluated where every name in them is known by now; others stay as they are.

    Names are looked up as Python would at the definition: in the module, in the functions
    and classes around `qualname` that are still running, and in `names`.
    """
    module_names = getattr(sys.modules.get(module), "__dict__", {})
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
    if _is_union(origin):
        return " | ".join(type_name(argument) for argument in arguments)
    if origin is not None:
        inner = ", ".join("..." if argument is Ellipsis else type_name(argument) for argument in arguments)
        return f"{getattr(origin, '__name__', origin)}[{inner}]"
    return str(getattr(annotation, "__name__", annotation))


def strip(annotation: Any) -> Any:
    """The type beneath `Annotated`, `NewType` and `type` aliases."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = annotation.__origin__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # in typing from 3.12 on
            annotation = annotation.__value__
        else:
            return annotation


def contracts_within(annotation: Any) -> Iterator[type]:
    """The contract classes an annotation names, without going into them."""
    annotation = strip(annotation)
    if is_contract(annotation):
        yield annotation
    if get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from contracts_within(argument)


def check_type(annotation: Any, *, owner: str, field: str | None) -> None:
    """Refuse what a contract cannot be made of.

    Raises:
        ContractDefinitionError: names `owner`, `field`, the type and what to use instead.
    """

    def refuse(problem: str, fix: str = _SUPPORTED) -> NoReturn:
        raise ContractDefinitionError(owner=owner, field=field, problem=problem, fix=fix)

    def check(annotation: Any) -> None:
        annotation = strip(annotation)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if isinstance(annotation, (str, ForwardRef)):
            name = annotation if isinstance(annotation, str) else annotation.__forward_arg__
            refuse(f"{name!r} is not defined", "define it, or import it outside `if TYPE_CHECKING`")
        if annotation is None or is_contract(annotation) or annotation in LEAVES:
            return
        if annotation in CONTAINERS:
            refuse(f"{annotation.__name__} does not say what it holds", f"write {_EXAMPLES[annotation]}")
        if origin is Literal:
            _check_literal(arguments, refuse)
        elif origin is dict:
            _check_key(arguments[0], refuse)
            check(arguments[1])
        elif origin in CONTAINERS or _is_union(origin):
            if _is_union(origin):
                _check_union(arguments, refuse)
            for argument in arguments:
                if argument is not Ellipsis:
                    check(argument)
        elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
            _check_enum(annotation, refuse)
        elif isinstance(annotation, type) and origin is None and annotation.__module__ not in _NOT_YOURS:
            refuse(f"{annotation.__name__} is not a contract", f"decorate class {annotation.__name__} with @contract")
        else:
            refuse(f"{type_name(annotation)} is not supported")

    check(annotation)


_EXAMPLES = {
    list: "list[str]",
    set: "set[str]",
    frozenset: "frozenset[str]",
    tuple: "tuple[str, int]",
    dict: "dict[str, int]",
}
_NOT_YOURS = frozenset({"builtins", "typing", "collections", "collections.abc", "datetime", "decimal", "pathlib"})


def _is_union(origin: Any) -> bool:
    return origin is Union or origin is types.UnionType


def _literal_name(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) and not isinstance(value, enum.Enum) else str(value)


def _check_literal(values: tuple[Any, ...], refuse: Any) -> None:
    for value in values:
        if isinstance(value, enum.Enum):
            _check_enum(type(value), refuse)
        elif not isinstance(value, (str, int, types.NoneType)):
            refuse(f"Literal[{value!r}] is not a JSON value", "use str, int, bool, None or Enum values")


def _check_enum(cls: type[enum.Enum], refuse: Any) -> None:
    for member in cls:
        if isinstance(member.value, bool) or not isinstance(member.value, (str, int)):
            refuse(f"{cls.__name__}.{member.name} is {member.value!r}", "give every member a string or an integer")
    if not len(cls):
        refuse(f"{cls.__name__} has no members", "add the values it may take")


def _check_key(annotation: Any, refuse: Any) -> None:
    key = strip(annotation)
    if key in KEYS:
        return
    if get_origin(key) is Literal and all(isinstance(value, str) for value in get_args(key)):
        return
    if isinstance(key, type) and issubclass(key, enum.Enum):
        _check_enum(key, refuse)
        if all(isinstance(member.value, str) for member in key):
            return
    refuse(f"{type_name(annotation)} cannot be a key", "use str, int, date, UUID, or an Enum or Literal of strings")


def _check_union(arguments: tuple[Any, ...], refuse: Any) -> None:
    # On the wire a dict is a list of entries: the strict subset has no open objects.
    kinds = {get_origin(strip(argument)) for argument in arguments}
    if dict in kinds and kinds & {list, set, frozenset, tuple}:
        refuse("a union of dict and a sequence cannot be told apart on the wire", "put one of them in a contract")


def _resolve_one(annotation: Any, module_names: dict[str, Any], local_names: dict[str, Any]) -> Any:
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    try:
        return typing.get_type_hints(holder, module_names, local_names, include_extras=True)["it"]
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
