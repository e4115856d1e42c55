"""`Postcondition` and `Precondition`: what an `@infer` call's result, and its arguments, must satisfy.

A callable is taken apart once, while decorating: its source, the parameters it is given by name, the free names that
mean arguments, and whether it may run on the event loop. `Condition` below runs it.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import pickle
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Literal, TypeGuard

from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.violation import Violation, ViolationKind
from stratum.engine.postconditions.condition import Condition, OnLeak, Where, free_names
from stratum.engine.postconditions.lambda_checks import check_fields, check_outcome, is_cheap
from stratum.engine.postconditions.lambda_source import LambdaSource, lambda_source


@dataclass(frozen=True)
class Ensure:
    """A condition with a choice of where it runs; made by `ensure`."""

    function: Callable[..., object]
    process: bool


def ensure(function: Callable[..., object], *, process: bool = False) -> Ensure:
    """A condition for `@infer(ensure=...)`; `process=True` runs it in a worker process, killed at the deadline.

    For conditions that may hang: a thread can only be abandoned. The function must be at module level, and
    it, the result and the arguments that it names must pickle.
    """
    return Ensure(function, process)


class Postcondition:
    """One condition on a call's result."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    @classmethod
    def compile(
        cls,
        fn: Callable[..., object] | Ensure,
        *,
        function: str,
        parameters: Collection[str],
        returns: object,
        opaque: Collection[str] = (),
        number: int = 1,
    ) -> Postcondition:
        """Take `fn` apart; `number` is its place among the function's conditions, for `ensure #2`.

        `fn` gets the result as its first argument, whatever that parameter is called, and further ones by name. `opaque`
        parameters are given to it, and never quoted.

        Raises:
            ContractDefinitionError: not callable, takes what the function does not have, or names a field that
                the contract does not have.
        """
        declared = _Declared(fn, kind="ensure", function=function, parameters=parameters, number=number)
        first = declared.first_positional()
        if declared.source is not None:
            check_fields(declared.source, first=first, returns=returns, function=function)
            check_outcome(declared.source, first=first, returns=returns, function=function)
        return cls(declared.condition(given=(first,), opaque=opaque))

    @property
    def inline(self) -> bool:
        """Whether `check` is certain to be quick and to have no checkpoint."""
        return self._condition.where == "inline"

    async def check(
        self, result: object, arguments: Mapping[str, object], on_leak: OnLeak | None = None
    ) -> list[Violation]:
        """The violations of `result`; none if it is acceptable.

        Raises only `Cancelled` and `KeyboardInterrupt`. Cancelled while the condition runs in a thread, it leaves
        that thread running and tells `on_leak`.
        """
        return await self._condition.violations((result,), arguments, on_leak)


class Precondition:
    """One condition on a call's arguments."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    @classmethod
    def compile(
        cls,
        fn: Callable[..., object] | Ensure,
        *,
        function: str,
        parameters: Collection[str],
        opaque: Collection[str] = (),
        number: int = 1,
    ) -> Precondition:
        """As for `Postcondition`, but every parameter of `fn` is an argument of the call, by name.

        Raises:
            ContractDefinitionError: also where `fn` depends on no parameter at all.
        """
        declared = _Declared(fn, kind="given", function=function, parameters=parameters, number=number)
        condition = declared.condition(given=(), opaque=opaque)
        if not condition.by_name and not condition.free:
            raise declared.error("it names no parameter of the function", f"name one of: {', '.join(parameters)}")
        return cls(condition)

    async def check(self, arguments: Mapping[str, object], on_leak: OnLeak | None = None) -> list[Violation]:
        """The violations of `arguments`; none if the call may be made. As for `Postcondition.check`."""
        return await self._condition.violations((), arguments, on_leak)


class _Declared:
    """A callable given to `ensure=` or `given=`, while it is taken apart."""

    def __init__(
        self,
        fn: Callable[..., object] | Ensure,
        *,
        kind: Literal["ensure", "given"],
        function: str,
        parameters: Collection[str],
        number: int,
    ) -> None:
        self._kind: ViolationKind = kind
        self._owner = function
        self._parameters = parameters
        self._number = number
        self._callable = fn.function if isinstance(fn, Ensure) else fn
        self._process = isinstance(fn, Ensure) and fn.process
        if not callable(self._callable):
            raise self.error(f"{self._callable!r} is not callable", "pass a function, a lambda or a list of them")
        self._lambda: FunctionType | None = self._callable if _is_lambda(self._callable) else None
        self.source: LambdaSource | None = None if self._lambda is None else lambda_source(self._lambda)
        self._takes = _parameters_of(self._callable)

    def error(self, problem: str, fix: str) -> ContractDefinitionError:
        return ContractDefinitionError(owner=self._owner, field=self._kind, problem=problem, fix=fix)

    def first_positional(self) -> str:
        """The name of the parameter that takes the result."""
        if self._takes is None:
            return "result"
        for name, parameter in self._takes.items():
            if parameter.kind is not parameter.KEYWORD_ONLY and parameter.kind is not parameter.VAR_KEYWORD:
                return name
        raise self.error(f"{self._text('result')} does not take the result", "give it one parameter: `lambda r: ...`")

    def condition(self, *, given: tuple[str, ...], opaque: Collection[str]) -> Condition:
        by_name = tuple(name for name in self._by_name(given))
        free = frozenset[str]()
        if self._lambda is not None:
            free = free_names(self._lambda.__code__) & frozenset(self._parameters)
        return Condition(
            kind=self._kind,
            function=self._callable,
            text=self._text(", ".join((*("result" for _ in given), *by_name))),
            where=self._where(by_name),
            by_name=by_name,
            free=free,
            source=self.source,
            opaque=frozenset(opaque),
        )

    def _by_name(self, given: tuple[str, ...]) -> list[str]:
        names: list[str] = []
        for name, parameter in (self._takes or {}).items():
            if name in given or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if name in self._parameters and parameter.kind is not parameter.POSITIONAL_ONLY:
                names.append(name)
            elif parameter.default is parameter.empty:
                close = difflib.get_close_matches(name, self._parameters, n=1)
                hint = (
                    f"did you mean {close[0]!r}?"
                    if close
                    else f"take any of: {', '.join(self._parameters) or '(none)'}"
                )
                raise self.error(f"the condition takes {name!r}, which is no parameter of the function", hint)
        return names

    def _text(self, arguments: str) -> str:
        if self.source is not None:
            return self.source.text(_what_must_hold(self.source.body))
        if self._lambda is not None:
            return f"{self._kind} #{self._number}"
        target: object = self._callable
        while isinstance(target, partial):
            target = target.func
        name = getattr(target, "__name__", type(target).__name__)
        return f"{name}({arguments})"

    def _where(self, by_name: tuple[str, ...]) -> Where:
        if self._process:
            try:
                pickle.dumps(self._callable)
            except Exception as error:
                raise self.error(
                    f"process=True needs a function that pickles: {error}", "define it at module level, with `def`"
                ) from error
            return "process"
        if _is_async(self._callable):
            return "loop"
        if self._lambda is None or self.source is None:
            return "thread"
        shadowed = {*self._lambda.__code__.co_freevars, *self._lambda.__globals__, *self._parameters, *by_name}
        return "inline" if is_cheap(self.source, shadowed) else "thread"


def _what_must_hold(body: ast.expr) -> ast.expr:
    """`A` of `A or "message"`: the message is what is said when it does not, and would be said twice."""
    if not (isinstance(body, ast.BoolOp) and isinstance(body.op, ast.Or)):
        return body
    *conditions, message = body.values
    if not (
        isinstance(message, ast.JoinedStr) or (isinstance(message, ast.Constant) and isinstance(message.value, str))
    ):
        return body
    if len(conditions) == 1:
        return conditions[0]
    rest = ast.copy_location(ast.BoolOp(op=body.op, values=conditions), body)
    rest.end_lineno, rest.end_col_offset = conditions[-1].end_lineno, conditions[-1].end_col_offset
    return rest


def _is_lambda(function: object) -> TypeGuard[FunctionType]:
    return isinstance(function, FunctionType) and function.__name__ == "<lambda>"


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _parameters_of(function: Callable[..., object]) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(function).parameters
    except (ValueError, TypeError):  # Some builtins have no signature: they get the result alone.
        return None
