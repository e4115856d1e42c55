"""`Signature`: a function's parameters and result, each with its codec."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from stratum.contracts.annotation import resolve
from stratum.contracts.codec import Codec, codec
from stratum.contracts.digest import digest12
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.violation import Violation

R = TypeVar("R")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a function."""

    name: str
    codec: Codec[Any]
    opaque: bool
    """Reaches the model as an attachment only."""
    default: Any = inspect.Parameter.empty


class Signature(Generic[R]):
    """What a function takes and returns; immutable, compiled once."""

    def __init__(
        self,
        *,
        name: str,
        qualname: str,
        signature: inspect.Signature,
        parameters: Mapping[str, Parameter],
        returns: Codec[R],
    ) -> None:
        self.name = name
        self.qualname = qualname
        """`module:qualname`."""
        self.parameters = parameters
        self.returns = returns
        self._signature = signature

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Signature[R]:
        """Read a function's annotations.

        Raises:
            ContractDefinitionError: an annotation is missing or unsupported, or the function
                takes `self`, `*args` or `**kwargs`.
        """
        name = function.__name__
        signature = inspect.signature(function)
        hints = resolve(
            inspect.get_annotations(function), qualname=function.__qualname__, module=function.__module__, names={}
        )
        parameters = {
            parameter.name: _parameter(parameter, hints, owner=name) for parameter in signature.parameters.values()
        }
        if "return" not in hints:
            raise ContractDefinitionError(
                owner=name, field="return", problem="no return type", fix=f"write `def {name}(...) -> YourContract`"
            )
        return cls(
            name=name,
            qualname=f"{function.__module__}:{function.__qualname__}",
            signature=signature,
            parameters=parameters,
            returns=codec(hints["return"], owner=name, field="return"),
        )

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults applied, each checked.

        Raises:
            TypeError: as Python words it, for a call that does not match the parameters.
            ContractViolation: an argument is not what its annotation says.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return {name: self.parameters[name].codec.validate(value, at=name) for name, value in bound.arguments.items()}

    def encode(self, arguments: Mapping[str, Any]) -> bytes:
        """All inputs as one canonical JSON object: the same inputs, the same bytes."""
        return _CANONICAL.encode(
            {name: self.parameters[name].codec.jsonable(value, redact=False) for name, value in arguments.items()}
        )

    def decode(self, inputs: bytes) -> dict[str, Any]:
        """The arguments back from `encode`'s bytes, or from the same JSON written by hand.

        Raises:
            ContractViolation: an input is missing, unknown or not what its annotation says.
        """
        given = _json_object(inputs, owner=self.name)
        wrong = [
            Violation(kind="schema", condition=f"{name}: expected no such input", detail="got a value")
            for name in given.keys() - self.parameters.keys()
        ]
        arguments: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name in given:
                try:
                    arguments[name] = parameter.codec.decode_value(bytes(given[name]), at=name)
                except ContractViolation as error:
                    wrong.extend(error.violations)
            elif parameter.default is not inspect.Parameter.empty:
                arguments[name] = parameter.default
            else:
                wrong.append(
                    Violation(kind="schema", condition=f"{name}: expected a value (required)", detail="got nothing")
                )
        if wrong:
            raise ContractViolation(contract=f"call of {self.name}", violations=wrong)
        return arguments

    def digest(self, arguments: Mapping[str, Any]) -> str:
        """12 hex characters over the inputs."""
        return digest12(self.encode(arguments))

    def jsonable(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs for a trace, opaque ones redacted."""
        return {name: self.parameters[name].codec.jsonable(value, redact=True) for name, value in arguments.items()}


_CANONICAL = msgspec.json.Encoder(order="sorted")


def _json_object(inputs: bytes, *, owner: str) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(inputs, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        wrong = Violation(kind="schema", condition="expected a JSON object of inputs", detail=str(error))
        raise ContractViolation(contract=f"call of {owner}", violations=[wrong]) from error


def _parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], *, owner: str) -> Parameter:
    name = parameter.name
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise ContractDefinitionError(
            owner=owner, field=name, problem="*args and **kwargs have no contract", fix="name each parameter"
        )
    if name not in hints:
        if name in ("self", "cls"):
            raise ContractDefinitionError(
                owner=owner, field=name, problem="methods cannot be steps", fix="move it out of the class"
            )
        raise ContractDefinitionError(owner=owner, field=name, problem="no annotation", fix=f"write `{name}: str`, say")
    compiled = codec(hints[name], owner=owner, field=name)
    return Parameter(name=name, codec=compiled, opaque=compiled.opaque, default=parameter.default)
