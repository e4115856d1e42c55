"""`Signature`: a function's parameters and result, each with its codec."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar, get_args, get_origin

import msgspec

from stratum.contracts.annotation import resolve, type_name, unaliased
from stratum.contracts.codec import Codec, codec, written
from stratum.contracts.digest import digest12
from stratum.contracts.errors import ContractDefinitionError, ContractViolation
from stratum.contracts.json_value import of_subclass
from stratum.contracts.probabilistic import Probabilistic
from stratum.contracts.python_value import MEMBER
from stratum.contracts.strict import definition_errors
from stratum.contracts.violation import Violation

R = TypeVar("R")

EMPTY: Final = inspect.Parameter.empty


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a function."""

    name: str
    codec: Codec[Any]
    opaque: bool
    """Reaches the model as an attachment only."""
    default: Any = EMPTY
    """`inspect.Parameter.empty` where there is none."""


class Signature(Generic[R]):
    """What a function takes and returns; immutable, compiled once."""

    def __init__(
        self,
        *,
        name: str,
        qualname: str,
        parameters: Mapping[str, Parameter],
        returns: Codec[R],
        arguments_of: Callable[..., dict[str, Any]],
    ) -> None:
        self.name = name
        self.qualname = qualname
        """`module:qualname`."""
        self.parameters = parameters
        self.returns = returns
        self._arguments_of = arguments_of
        self._codecs = [(name, parameter.codec) for name, parameter in parameters.items()]

    @classmethod
    def of(cls, function: Callable[..., Any], *, samples: bool = False, called_by_name: bool = False) -> Signature[Any]:
        """Read a function's annotations; with `samples`, what it returns is the T of its `Probabilistic[T]`.

        `called_by_name`: its parameters must have names for whoever calls it.

        Raises:
            ContractDefinitionError: it is no function, or a step already, an annotation is missing or unsupported, a default does not
                meet its own annotation, or the function takes `self`, `*args` or `**kwargs`.
        """
        _check_function(function, called_by_name=called_by_name)
        name, module, qualname = function.__name__, function.__module__, function.__qualname__
        signature = inspect.signature(function)
        with definition_errors(name):
            hints = resolve(
                inspect.get_annotations(function), qualname=qualname, module_names=_globals_of(function), names={}
            )
        parameters = [_parameter(parameter, hints, owner=name) for parameter in signature.parameters.values()]
        if "return" not in hints:
            raise ContractDefinitionError(
                owner=name, problem="it has no return type", fix=f"write `def {name}(...) -> YourContract`"
            )
        return cls(
            name=name,
            qualname=f"{module}:{qualname}",
            parameters={parameter.name: parameter for parameter in parameters},
            returns=codec(
                _sampled(hints["return"], owner=name) if samples else hints["return"], owner=name, field="return"
            ),
            arguments_of=_arguments_of(signature, qualname=qualname),
        )

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults applied, each checked.

        Raises:
            TypeError: as Python words it, for a call that does not match the parameters.
            ContractViolation: arguments are not what their annotations say; it names all of them.
        """
        arguments = self._arguments_of(*args, **kwargs)
        wrong: list[Violation] = []
        for name, parameter_codec in self._codecs:
            try:
                arguments[name] = parameter_codec.validate(arguments[name], at=name)
            except ContractViolation as error:
                wrong.extend(error.violations)
        self._refuse(wrong)
        return arguments

    def names(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults applied; what they are is not looked at.

        Raises:
            TypeError: as Python words it, for a call that does not match the parameters.
        """
        return self._arguments_of(*args, **kwargs)

    def checked(self, result: Any) -> R:
        """What the function returned.

        Raises:
            ContractViolation: it is not what the annotation says.
        """
        try:
            return self.returns.validate(result)
        except ContractViolation as error:
            raise ContractViolation(contract=f"result of {self.name}", violations=error.violations) from None

    def encode(self, arguments: Mapping[str, Any]) -> bytes:
        """All inputs as one canonical JSON object, which `decode` reads back to inputs of the same kinds.

        Raises:
            ContractViolation: an input is nested too deep to be read back.
        """
        text = self._plain(arguments)
        kept = {name: self.parameters[name].codec.as_tagged(value) for name, value in arguments.items()}
        kept = {name: value for name, value in kept.items() if value is not None}
        return _CANONICAL.encode({**self._members(text), MEMBER: kept}) if kept else text

    def _plain(self, arguments: Mapping[str, Any]) -> bytes:
        plain = {name: self.parameters[name].codec.plain(value) for name, value in arguments.items()}
        return written(plain, _CANONICAL, of=f"call of {self.name}", reread=self._recursive)

    def decode(self, inputs: bytes) -> dict[str, Any]:
        """The arguments back from `encode`'s bytes, or from the same JSON written by hand; defaults applied.

        Raises:
            ContractViolation: an input is missing, unknown or not what its annotation says.
        """
        given = self._members(inputs)
        kept = self._members(bytes(given.pop(MEMBER, b"{}")))
        wrong = [_mismatch(name, "no such input", "a value") for name in given if name not in self.parameters]
        arguments: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            try:
                if name in kept and (found := parameter.codec.from_tagged(bytes(kept[name]))) is not None:
                    arguments[name] = found[0]
                elif name in given:
                    arguments[name] = parameter.codec.decode_value(bytes(given[name]), at=name)
                elif parameter.default is not EMPTY:
                    arguments[name] = parameter.codec.validate(parameter.default)
                else:
                    wrong.append(_mismatch(name, "a value (required)", "nothing"))
            except ContractViolation as error:
                wrong.extend(error.violations)
        self._refuse(wrong)
        return arguments

    def digest(self, arguments: Mapping[str, Any]) -> str:
        """12 hex characters over the inputs' JSON: the same inputs, the same digest."""
        return digest12(self._plain(arguments))

    def jsonable(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs for a trace, opaque ones redacted."""
        return {name: self.parameters[name].codec.jsonable(value, redact=True) for name, value in arguments.items()}

    @functools.cached_property
    def _recursive(self) -> bool:
        return any(parameter_codec.recursive for _, parameter_codec in self._codecs)

    def _members(self, inputs: bytes) -> dict[str, msgspec.Raw]:
        try:
            return msgspec.json.decode(inputs, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            wrong = Violation(kind="schema", condition="expected a JSON object of inputs", detail=str(error))
            raise self._violation([wrong]) from error

    def _refuse(self, wrong: list[Violation]) -> None:
        if wrong:
            raise self._violation(wrong)

    def _violation(self, wrong: list[Violation]) -> ContractViolation:
        return ContractViolation(contract=f"call of {self.name}", violations=wrong)


_CANONICAL: Final = msgspec.json.Encoder(order="sorted", enc_hook=of_subclass)


def _sampled(annotation: Any, *, owner: str) -> Any:
    annotation = unaliased(annotation)
    if get_origin(annotation) is not Probabilistic:
        raise ContractDefinitionError(
            owner=owner,
            field="return",
            problem="stable=False gives samples",
            fix=f"write `-> Probabilistic[{type_name(annotation)}]`",
        )
    return get_args(annotation)[0]


def _mismatch(name: str, expected: str, got: str) -> Violation:
    return Violation(kind="schema", condition=f"{name}: expected {expected}", detail=f"got {got}")


def _check_function(function: Callable[..., Any], *, called_by_name: bool) -> None:
    known: object = getattr(function, "signature", None)
    if isinstance(known, Signature):
        raise ContractDefinitionError(
            owner=str(known.name), problem="it is a step already", fix="decorate it once; a step may call another"
        )
    if isinstance(function, (classmethod, property)):
        raise ContractDefinitionError(
            owner=type(function).__name__,
            problem="a method cannot be a step",
            fix="move it out of the class and pass what it needs",
        )
    if not isinstance(getattr(function, "__name__", None), str):
        raise ContractDefinitionError(
            owner=type(function).__name__,
            problem="a step needs a function with a name",
            fix="write a `def` that calls it",
        )
    if isinstance(function, type):
        raise ContractDefinitionError(
            owner=function.__name__, problem="a class is not a step", fix="write a `def` that makes one"
        )
    for parameter in inspect.signature(function).parameters.values() if called_by_name else ():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ContractDefinitionError(
                owner=function.__name__,
                field=parameter.name,
                problem="it can be passed by position only",
                fix="take the `/` out of the parameters",
            )


def _parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], *, owner: str) -> Parameter:
    name = parameter.name
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise ContractDefinitionError(
            owner=owner, field=name, problem="*args and **kwargs have no contract", fix="name each parameter"
        )
    if name not in hints:
        is_method = name in ("self", "cls")
        raise ContractDefinitionError(
            owner=owner,
            field=name,
            problem="a method cannot be a step" if is_method else "it has no annotation",
            fix="move it out of the class and pass what it needs" if is_method else f"annotate it: `{name}: str`",
        )
    compiled = codec(hints[name], owner=owner, field=name)
    if parameter.default is not EMPTY:
        _check_default(parameter.default, compiled, owner=owner, name=name)
    return Parameter(name=name, codec=compiled, opaque=compiled.opaque, default=parameter.default)


def _check_default(default: Any, compiled: Codec[Any], *, owner: str, name: str) -> None:
    try:
        compiled.validate(default)
    except ContractViolation as error:
        raise ContractDefinitionError(
            owner=owner,
            field=name,
            problem=f"its default does not fit: {error.violations[0].for_prompt.removeprefix('schema: ')}",
            fix="correct one of them",
        ) from error


def _arguments_of(signature: inspect.Signature, *, qualname: str) -> Callable[..., dict[str, Any]]:
    """A function of the same parameters that returns its arguments by name.

    Python's own binding, with Python's own errors, at a tenth of the time of `Signature.bind`;
    written as source as `namedtuple` and `dataclass` are.
    """
    defaults: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.default is not EMPTY:
            defaults[f"_default_{parameter.name}"] = parameter.default
            parameter = parameter.replace(default=_Name(f"_default_{parameter.name}"))
        parameters.append(parameter.replace(annotation=EMPTY))
    head = str(inspect.Signature(parameters)).removeprefix("(").removesuffix(")")
    body = ", ".join(f"{name!r}: {name}" for name in signature.parameters)
    function: Callable[..., dict[str, Any]] = eval(f"lambda {head}: {{{body}}}", defaults)
    function.__qualname__ = qualname
    return function


def _globals_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The names of its module, which under `exec` is no module that can be imported."""
    names: Mapping[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    return names


class _Name:
    """Prints as a name where `inspect` would print a default's repr."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name
