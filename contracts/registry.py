"""`Registry`: the functions and contracts that a plan may name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from stratum.contracts.annotation import contracts_within
from stratum.contracts.codec import Codec
from stratum.contracts.schema import Schema
from stratum.contracts.signature import EMPTY, Signature


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function as far as a plan needs to know it."""

    name: str
    kind: Literal["infer", "compute"]
    parameters: Mapping[str, Codec[Any]]
    required: frozenset[str]
    """Parameters without a default."""
    returns: Codec[Any]
    least_picousd: int = 0
    """What one call holds of a budget at least: its smallest worst case."""
    least_tokens: int = 0

    @classmethod
    def of(
        cls,
        signature: Signature[Any],
        kind: Literal["infer", "compute"],
        *,
        least_picousd: int = 0,
        least_tokens: int = 0,
    ) -> Function:
        return cls(
            name=signature.name,
            kind=kind,
            parameters={name: parameter.codec for name, parameter in signature.parameters.items()},
            required=frozenset(name for name, parameter in signature.parameters.items() if parameter.default is EMPTY),
            returns=signature.returns,
            least_picousd=least_picousd,
            least_tokens=least_tokens,
        )


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """What is there; immutable."""

    functions: Mapping[str, Function] = {}
    contracts: Mapping[str, Any] = {}
    """Contract classes by name."""

    @classmethod
    def of(cls, functions: Iterable[Function], contracts: Iterable[type[Any]] = ()) -> Registry:
        """The functions, and the contracts given or used by one of them; the first of two with one name counts."""
        by_name = {function.name: function for function in functions}
        classes = list(contracts)
        for function in by_name.values():
            for codec in (function.returns, *function.parameters.values()):
                classes += contracts_within(codec.annotation)
        named: dict[str, Any] = {}
        for each in classes:
            named.setdefault(each.__name__, each)
        return cls(functions=by_name, contracts=named)


def value_schema(codec: Codec[Any]) -> Schema:
    """The JSON Schema of a value itself, without the object that wraps it on the wire."""
    schema = codec.schema
    if not codec.wrapped:
        return schema
    return {**schema["properties"]["value"], "$defs": schema.get("$defs", {})}
