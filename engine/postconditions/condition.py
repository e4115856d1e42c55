"""`Condition`: one `ensure` or `given` callable, compiled: how it is called, where it runs, how it is quoted.

Above it, `Postcondition` and `Precondition` say what it is called with. A condition never breaks the call it
judges: whatever it raises is a violation.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import traceback
from collections import ChainMap
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import CellType, CodeType, FunctionType
from typing import Any, Literal, cast

import trio

from stratum.contracts.error_groups import is_group
from stratum.contracts.expressions.explanation import UNKNOWN, explain
from stratum.contracts.rendering import show
from stratum.contracts.violation import MAX_VIOLATIONS, Violation, ViolationKind
from stratum.engine.postconditions.actual_values import ActualValues
from stratum.engine.postconditions.lambda_source import LambdaSource
from stratum.engine.worker_thread import WorkerThread

OnLeak = Callable[[str], object]
"""Told, in a sentence, of a thread that was abandoned at a deadline with a condition still running in it."""

Where = Literal["inline", "loop", "thread", "process"]
"""`inline`: on the event loop, without a checkpoint; `loop`: on the event loop, and awaited there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Condition:
    """A callable that says whether something holds: True or None; False, a text or texts, or an exception if not."""

    kind: ViolationKind
    function: Callable[..., object]
    text: str
    """How it is quoted: `r.confidence > 0.75`, `all_tests_pass(result)`, `ensure #1`."""
    where: Where
    by_name: tuple[str, ...] = ()
    """Its parameters that are given the call's arguments of the same names."""
    free: frozenset[str] = frozenset()
    """Free names of a lambda that are parameters of the function: each means that call's argument."""
    source: LambdaSource | None = None
    opaque: frozenset[str] = field(default=frozenset())
    """Parameters whose values are never quoted."""

    async def violations(
        self, positional: Sequence[object], arguments: Mapping[str, object], on_leak: OnLeak | None
    ) -> list[Violation]:
        """Run it and judge the outcome.

        A checkpoint unless it runs inline. Raises only `Cancelled` and `KeyboardInterrupt`.
        """
        judge = partial(_Judge, self, tuple(positional), dict(arguments))
        if self.where == "process":
            return await self._in_process(judge(), tuple(positional), arguments)
        verdict = await self._run(judge().call_and_judge, on_leak)
        if isinstance(verdict, _Pending):
            outcome = await _awaited(verdict.awaitable)
            verdict = await self._run(partial(judge().judged, outcome), on_leak)
        return cast("list[Violation]", verdict)

    async def _run(self, work: Callable[[], object], on_leak: OnLeak | None) -> object:
        if self.where in ("inline", "loop"):
            return work()

        def leaked() -> None:
            if on_leak is not None:
                on_leak(f"the thread of `{self.text}` was abandoned at its deadline and may still be running")

        return await WorkerThread(work, purpose="condition").result(leaked)

    async def _in_process(
        self, judge: _Judge, positional: tuple[object, ...], arguments: Mapping[str, object]
    ) -> list[Violation]:
        import anyio.to_process  # 40 ms that only `process=True` should pay

        named = {name: arguments[name] for name in self.by_name}
        try:
            outcome = await anyio.to_process.run_sync(_outcome, self.function, positional, named, cancellable=True)
        except Exception as error:  # noqa: BLE001 - a result that cannot be pickled, a worker that died
            outcome = _raised(error)
        return judge.judged(outcome)


@dataclass(frozen=True)
class _Raised:
    """A condition raised; the text is made where it happened, since not every exception can be carried away."""

    text: str


@dataclass(frozen=True)
class _Pending:
    awaitable: Awaitable[object]


class _Judge:
    """One evaluation of a condition."""

    def __init__(self, condition: Condition, positional: tuple[object, ...], arguments: dict[str, object]) -> None:
        self._condition = condition
        self._positional = positional
        self._arguments = arguments

    def call_and_judge(self) -> list[Violation] | _Pending:
        condition = self._condition
        function = with_arguments(condition.function, condition.free, self._arguments)
        named = {name: self._arguments[name] for name in condition.by_name}
        outcome = _outcome(function, self._positional, named)
        return _Pending(outcome) if inspect.isawaitable(outcome) else self.judged(outcome)

    def judged(self, outcome: object) -> list[Violation]:
        """What an outcome means; texts are made here, in the condition's own thread."""
        try:
            details = self._details(outcome)
        except BaseException as error:  # noqa: BLE001 - what must stop the call is raised again
            details = [_raised(error).text]
        left_out = len(details) - MAX_VIOLATIONS
        if left_out > 0:
            details = [*details[:MAX_VIOLATIONS], f"and {left_out:,} more"]
        return [Violation(kind=self._condition.kind, condition=self._condition.text, detail=text) for text in details]

    def _details(self, outcome: object) -> list[str]:
        if outcome is None or outcome is True:
            return []
        if isinstance(outcome, _Raised):
            return [outcome.text]
        if isinstance(outcome, str):
            # A text is a violation; an empty one says no more than False does.
            return [outcome or self._explanation()]
        if isinstance(outcome, (list, tuple)):
            return [text if isinstance(text, str) else show(text) for text in cast("Sequence[object]", outcome)]
        if not hasattr(type(outcome), "__bool__") or hasattr(type(outcome), "__len__"):
            # Objects without a truth of their own (a generator, a method that was not called, a re.Match) would always
            # hold, and a set or dict may be meant either way.
            return [f"it returned a {type(outcome).__name__}; return True, False, a str or a list of str"]
        return [] if outcome else [self._explanation()]

    def _explanation(self) -> str:
        source = self._condition.source
        if source is None:
            return ""
        assigned = {node.target.id: node.value for node in ast.walk(source.body) if isinstance(node, ast.NamedExpr)}
        return explain(source.body, values=ActualValues(self._names(), assigned), source=source.text)

    def _names(self) -> Mapping[str, object]:
        """The names a lambda ran with, innermost first; opaque arguments are left out."""
        condition = self._condition
        function = cast("FunctionType", condition.function)
        code = function.__code__
        defaults = function.__defaults__ or ()
        defaulted = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
        own = dict(zip(defaulted, defaults, strict=True)) | (function.__kwdefaults__ or {})
        own |= zip(code.co_varnames, self._positional, strict=False)
        own |= {name: self._arguments[name] for name in (*condition.by_name, *condition.free)}
        own |= dict.fromkeys(condition.opaque, UNKNOWN)
        closure = {
            name: cell.cell_contents
            for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)
            if cell != CellType()
        }
        return ChainMap(own, closure, function.__globals__)


def with_arguments(
    function: Callable[..., object], free: Collection[str], arguments: Mapping[str, object]
) -> Callable[..., object]:
    """`function` with the free names in `free` meaning this call's arguments.

    The copy shares code, defaults and every other global and closure variable with the original.
    """
    if not free:
        return function
    original = cast("FunctionType", function)
    cells = zip(original.__code__.co_freevars, original.__closure__ or (), strict=True)
    copy = FunctionType(
        original.__code__,
        _Globals({name: arguments[name] for name in free}, original.__globals__),
        original.__name__,
        original.__defaults__,
        tuple(CellType(arguments[name]) if name in free else cell for name, cell in cells),
    )
    copy.__kwdefaults__ = original.__kwdefaults__
    return copy


def free_names(code: CodeType) -> frozenset[str]:
    """The names that code, and code nested in it, takes from its closure, its module or the builtins."""
    loaded = {str(step.argval) for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = (free_names(const) for const in code.co_consts if isinstance(const, CodeType))
    return frozenset(loaded | set(code.co_freevars)).union(*inner) - frozenset(code.co_cellvars)


class _Globals(dict[str, Any]):
    """A module's globals with a few names in front. Looked up by `__missing__`: copying a large module costs 10 µs."""

    def __init__(self, own: Mapping[str, object], module: dict[str, Any]) -> None:
        super().__init__(own)
        self._module = module

    def __missing__(self, name: str) -> object:
        return self._module[name]


@trio.lowlevel.disable_ki_protection
def _outcome(function: Callable[..., object], positional: tuple[object, ...], named: Mapping[str, object]) -> object:
    try:
        return function(*positional, **named)
    except BaseException as error:  # noqa: BLE001 - CASES B9: whatever it raises is a violation
        return _raised(error)


@trio.lowlevel.disable_ki_protection
async def _awaited(awaitable: Awaitable[object]) -> object:
    try:
        return await awaitable
    except BaseException as error:  # noqa: BLE001 - CASES B9
        return _raised(error)


def _raised(error: BaseException) -> _Raised:
    """A condition's exception as a violation's text; what must stop the call is raised again."""
    if _stops_the_call(error):
        raise error
    try:
        text = str(error)
    except Exception as worse:  # noqa: BLE001 - __str__ is anyone's code
        text = f"its text raises {type(worse).__name__}"
    if isinstance(error, (AssertionError, ValueError)) and text:
        return _Raised(text)
    if isinstance(error, AssertionError):
        return _Raised(_asserted(error))
    return _Raised(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _stops_the_call(error: BaseException) -> bool:
    stops = (trio.Cancelled, KeyboardInterrupt, GeneratorExit)
    if is_group(error):
        return error.subgroup(stops) is not None
    return isinstance(error, stops)


def _asserted(error: AssertionError) -> str:
    """The source line of an `assert` without a message."""
    frames = traceback.extract_tb(error.__traceback__)
    line = linecache.getline(frames[-1].filename, frames[-1].lineno or 0).strip() if frames else ""
    return f"failed: {line}" if line else "AssertionError"
