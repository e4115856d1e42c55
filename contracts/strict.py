"""pydantic, the authority on what a value must be, asked strictly and answering in our errors."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import ConfigDict, PydanticUserError, TypeAdapter
from pydantic_core import CoreConfig, SchemaError

from stratum.contracts.annotation import expanded, is_contract, strip, type_name, unaliased
from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.shape import is_dict, is_sequence

STRICT: Final = ConfigDict(
    strict=True,
    allow_inf_nan=False,
    extra="forbid",
    val_json_bytes="base64",
    ser_json_bytes="base64",
    # A length makes pydantic read the text, and so refuse lone surrogates, which no JSON text can hold.
    str_min_length=0,
    # A default is checked once, but what a `default_factory` gives is not known before.
    validate_default=True,
)
"""What every validator is built with: nothing is coerced, nothing unknown is let through."""
STRICT_CORE: Final = CoreConfig(
    strict=True, allow_inf_nan=False, extra_fields_behavior="forbid", val_json_bytes="base64", str_min_length=0
)
"""The same for validators that are built without a class, in the core's own names."""


def adapter_of(annotation: Any, *, owner: str, field: str | None) -> TypeAdapter[Any]:
    """A type as pydantic sees it; contracts within it are strict by themselves.

    Raises:
        ContractDefinitionError: a constraint is malformed, or written on a type it does not apply to.
    """
    # pydantic leaves a constraint on an alias to a function of its own, as it does one that does not apply.
    annotation = expanded(annotation)
    with definition_errors(owner, field):
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=None if is_contract(strip(annotation)) else STRICT)
    if is_constrained(annotation) and (name := _inapplicable_constraint(adapter.core_schema)):
        raise ContractDefinitionError(
            owner=owner,
            field=field,
            problem=f"{name} does not apply to {type_name(annotation)}",
            fix="put it on the type it is meant for: `Annotated[int, Field(ge=0)] | str`",
        )
    if is_constrained(annotation) and (problem := _contradiction(adapter.core_schema)):
        raise ContractDefinitionError(owner=owner, field=field, problem=problem, fix="correct one of them")
    if is_constrained(annotation) and any(node.get("allow_inf_nan") for node in _nodes(adapter.core_schema)):
        raise ContractDefinitionError(
            owner=owner,
            field=field,
            problem="allow_inf_nan lets in what no JSON can hold",
            fix="leave it out, and write None for what is no number",
        )
    return adapter


def is_constrained(annotation: Any) -> bool:
    """True where anything in it is `Annotated`."""
    annotation = unaliased(annotation)
    return get_origin(annotation) is Annotated or any(is_constrained(argument) for argument in get_args(annotation))


@contextmanager
def definition_errors(owner: str, field: str | None = None) -> Generator[None]:
    """Turn what pydantic and dataclasses raise on a wrong declaration into a `ContractDefinitionError`."""
    try:
        yield
    except _MISUSE as error:
        raise ContractDefinitionError(
            owner=owner, field=field, problem=_reason(error), fix="correct the declaration"
        ) from error


# What evaluating a wrong annotation raises, and what pydantic and dataclasses make of a wrong declaration.
_MISUSE: Final = (PydanticUserError, SchemaError, SyntaxError, NameError, AttributeError, TypeError, ValueError)


def _reason(error: Exception) -> str:
    # pydantic-core ends with the cause (`error: look-around ... is not supported`), the others begin with it.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1 if isinstance(error, SchemaError) else 0].removeprefix("error: ").rstrip(".")


def _contradiction(schema: Any) -> str | None:
    """Two constraints that no value meets together: a model would be asked in vain, and paid for it."""
    for node in _nodes(schema):
        for low, high in _PAIRS:
            if low in node and high in node and not _has_room(node, low, high):
                return f"{low}={node[low]!r} and {high}={node[high]!r} leave no value"
    return None


def _has_room(node: dict[str, Any], low: str, high: str) -> bool:
    open_ends = (low == "gt") + (high == "lt")
    try:
        if node.get("type") == "int":
            return bool(node[low] + open_ends <= node[high])
        return bool(node[low] < node[high] or (not open_ends and node[low] == node[high]))
    except TypeError:  # a day and a moment, say, are not compared
        return True


_PAIRS: Final = (("ge", "le"), ("ge", "lt"), ("gt", "le"), ("gt", "lt"), ("min_length", "max_length"))


def _inapplicable_constraint(schema: Any) -> str | None:
    """The name of a constraint that pydantic would only fail to apply once a value comes: `ge` on a string.

    It leaves such a constraint to a function of its own, run on whatever value passes.
    """
    for node in _nodes(schema):
        # What serializes has a function as well, and no more than that.
        if str(node.get("type")).startswith("function-") and is_dict(node["function"]):
            function = node["function"]["function"]
            applied = function.func if isinstance(function, functools.partial) else function
            if getattr(applied, "__module__", "").startswith("pydantic._internal."):
                return ", ".join(function.keywords) if isinstance(function, functools.partial) else "its constraint"
    return None


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if is_dict(schema):
        yield schema
        for value in schema.values():
            yield from _nodes(value)
    elif is_sequence(schema):
        for value in schema:
            yield from _nodes(value)
