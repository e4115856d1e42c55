"""The types a contract can be made of."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, ForwardRef, Generic, Literal, TypeVar, get_args, get_origin
from uuid import UUID

from stratum.contracts.annotation import is_alias, is_contract, is_union, stands_for, strip, type_name
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.image import Image

LEAVES: Final[frozenset[Any]] = frozenset(
    {str, int, float, bool, types.NoneType, date, datetime, bytes, Decimal, UUID, Image}
)
CONTAINERS: Final[frozenset[Any]] = frozenset({list, set, frozenset, tuple, dict})
KEYS: Final[frozenset[Any]] = frozenset({str, int, date, UUID})


def check_type(annotation: Any, *, owner: str, field: str | None) -> None:
    """Refuse what a contract cannot be made of.

    Raises:
        ContractDefinitionError: names `owner`, `field`, the type and what to use instead.
    """
    try:
        _refuse_endless(annotation, ())
        _check(annotation)
    except _Unsupported as unsupported:
        raise ContractDefinitionError(
            owner=owner, field=field, problem=unsupported.problem, fix=unsupported.fix
        ) from None


class _Unsupported(Exception):
    def __init__(self, problem: str, fix: str) -> None:
        self.problem = problem
        self.fix = fix


def _refuse_endless(annotation: Any, through: tuple[Any, ...]) -> None:
    """Before anybody follows aliases: `type Tree = list[Tree]` would be followed for ever."""
    while is_alias(annotation):
        name = annotation.__name__
        if any(annotation is alias for alias in through):
            raise _Unsupported(
                f"the alias {name} stands for itself", f"write a @contract class {name} that holds itself"
            )
        through = (*through, annotation)
        try:
            annotation = stands_for(annotation)
        except NameError as error:  # an alias is evaluated when it is first asked
            raise _Unsupported(f"{error.name!r} is not defined", f"define it before {name} is used") from None
    if get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            _refuse_endless(argument, through)


def _check(annotation: Any) -> None:
    annotation = strip(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if getattr(annotation, "__unpacked__", False):  # `*tuple[str, ...]`, which an alias keeps as it was written
        raise _Unsupported(f"*{type_name(annotation)} is not supported", "write tuple[T, ...], or a field for each")
    if isinstance(annotation, (str, ForwardRef)):
        name = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        raise _Unsupported(f"{name!r} is not defined", "define it, or import it outside `if TYPE_CHECKING`")
    if annotation is None or is_contract(annotation):
        return
    if origin is None:
        _check_bare(annotation)
    elif origin is Literal:
        _check_literal(arguments)
    elif origin is dict:
        _check_key(arguments[0])
        _check(arguments[1])
    elif origin in CONTAINERS or is_union(origin):
        if is_union(origin):
            _check_union(arguments)
        for argument in arguments:
            if argument is not Ellipsis:
                _check(argument)
    elif isinstance(origin, type) and issubclass(origin, Generic):
        name = origin.__name__
        raise _Unsupported(
            f"{type_name(annotation)} is generic, and a contract is not",
            f"write a @contract class with these types in place of {name}'s variables",
        )
    else:
        raise _Unsupported(f"{type_name(annotation)} is not supported", _SUPPORTED)


def _check_bare(annotation: Any) -> None:
    if isinstance(annotation, TypeVar):
        raise _Unsupported(
            f"{annotation.__name__} is a type variable, and a contract is not generic",
            "write the type itself, in a @contract class for each type that you need",
        )
    if not isinstance(annotation, type):
        raise _Unsupported(f"{type_name(annotation)} is not supported", _SUPPORTED)
    if annotation in LEAVES:
        return
    if annotation in CONTAINERS:
        raise _Unsupported(f"{annotation.__name__} does not say what it holds", f"write {_EXAMPLES[annotation]}")
    if annotation in (bytearray, memoryview) or annotation.__module__.partition(".")[0] == "PIL":
        raise _Unsupported(f"{annotation.__name__} is not supported", _BYTES)
    if annotation.__module__ in _NOT_YOURS:
        raise _Unsupported(f"{annotation.__name__} is not supported", _SUPPORTED)
    if not issubclass(annotation, enum.Enum):
        name = annotation.__name__
        if getattr(annotation, "__pydantic_generic_metadata__", {}).get("args"):
            # Made by pydantic where it is named, so that there is no class statement to decorate.
            raise _Unsupported(
                f"{name} is not a contract", f"use a class of its own: `@contract class Name({name}): pass`"
            )
        raise _Unsupported(f"{name} is not a contract", f"decorate class {name} with @contract")
    _check_enum(annotation)


def _check_literal(values: tuple[Any, ...]) -> None:
    for value in values:
        if isinstance(value, enum.Enum):
            _check_enum(type(value))
        elif not isinstance(value, (str, int, types.NoneType)):
            raise _Unsupported(f"Literal[{value!r}] is not a JSON value", "use str, int, bool, None or Enum values")


def _check_enum(cls: type[enum.Enum]) -> None:
    if not len(cls):
        raise _Unsupported(f"{cls.__name__} has no members", "add the values it may take")
    for member in cls:
        if isinstance(member.value, bool) or not isinstance(member.value, (str, int)):
            raise _Unsupported(
                f"{cls.__name__}.{member.name} is {member.value!r}", "give every member a string or an integer"
            )


def _check_key(annotation: Any) -> None:
    key = strip(annotation)
    if isinstance(key, type) and issubclass(key, enum.Enum):
        _check_enum(key)
        values: list[Any] = [member.value for member in key]
    elif get_origin(key) is Literal:
        values = list(get_args(key))
    else:
        values = [""] if key in KEYS else [None]
    if not all(isinstance(value, str) for value in values):
        raise _Unsupported(
            f"{type_name(annotation)} cannot be a key", "use str, int, date, UUID, or an Enum or Literal of strings"
        )


def _check_union(arguments: tuple[Any, ...]) -> None:
    # On the wire a dict is a list of entries: the strict subset has no open objects.
    origins = set(_origins(arguments))
    if dict in origins and origins & {list, set, frozenset, tuple}:
        raise _Unsupported(
            "a union of dict and a sequence cannot be told apart on the wire", "put one of them in a contract"
        )


def _origins(arguments: tuple[Any, ...]) -> Iterator[Any]:
    """Of all that a union may be, the unions that aliases in it stand for included."""
    for argument in map(strip, arguments):
        origin = get_origin(argument)
        if is_union(origin):
            yield from _origins(get_args(argument))
        else:
            yield origin


_SUPPORTED: Final = (
    "use str, int, float, bool, None, date, datetime, bytes, Decimal, UUID, an Enum of strings or integers, Literal, "
    "unions, list, tuple, set, dict, Image, or a @contract class"
)
_BYTES: Final = "write stratum.Image for a picture, and pass stratum.Image(...) with the bytes of its file; else bytes"
_EXAMPLES: Final[dict[Any, str]] = {
    list: "list[str]",
    set: "set[str]",
    frozenset: "frozenset[str]",
    tuple: "tuple[str, int]",
    dict: "dict[str, int]",
}
_NOT_YOURS: Final = frozenset(
    {"builtins", "typing", "collections", "collections.abc", "datetime", "decimal", "pathlib"}
)
