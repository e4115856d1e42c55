"""`explain`: which part of a false condition failed, and on what values.

Shared by `ensure` lambdas (values read again, safely, after the fact) and by the expression language (values as
they were computed). Calls are never run for an explanation.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Protocol, cast

from stratum.contracts.rendering import record_fields, show


class Unknown(Enum):
    """What an expression evaluates to that must not, or cannot, be evaluated."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

_MAX_SEARCHED = 10_000
"""Items of a list in which the one that failed an `all(...)` is looked for."""

Source = Callable[[ast.expr], str]
"""The text of a part of the condition."""


class Values(Protocol):
    """What the parts of a condition evaluate to."""

    def evaluate(self, node: ast.expr) -> object:
        """The value of `node`, or `UNKNOWN`. Raises nothing."""
        ...

    def binding(self, name: str, value: object) -> Values:
        """The same, inside a loop whose variable `name` is `value`."""
        ...


def explain(condition: ast.expr, *, values: Values, source: Source) -> str:
    """What was seen where `condition` should have held.

    `actual: 0.42` where one value decides; `actual: r.low = 5, r.high = 3` where several do;
    `failed: r.high < 10, actual: 12` where one part of an `and` did not hold; `failed at r.items[3]: ...`
    where one item of an `all(...)` did not. Empty where nothing can be said.
    """
    failure = _Failure(condition, values, source).narrowed()
    actual = failure.actual()
    if failure.part is condition:
        return actual
    return f"failed{failure.where}: {source(failure.part)}" + (f", {actual}" if actual else "")


def truth(value: object) -> bool | Unknown:
    """`bool(value)` where that runs no code of the value's own class."""
    if value is UNKNOWN:
        return UNKNOWN
    if value is None or type(value) in (bool, int, float, str, bytes, list, tuple, dict, set, frozenset):
        return bool(value)
    return UNKNOWN


@dataclass(frozen=True)
class _Failure:
    """The part of a condition that made it false, as far as that is certain."""

    part: ast.expr
    values: Values
    source: Source
    where: str = ""

    def narrowed(self) -> _Failure:
        inner = self._inner()
        return self if inner is None else inner.narrowed()

    def _inner(self) -> _Failure | None:
        """The one part of this that failed: of an `and`, a branch of an `if`, an item of an `all(...)`."""
        part, known = self.part, self._truth
        if isinstance(part, ast.IfExp):
            chosen = known(part.test)
            return None if chosen is UNKNOWN else replace(self, part=part.body if chosen else part.orelse)
        if isinstance(part, ast.BoolOp) and isinstance(part.op, ast.And):
            undecided = [value for value in part.values if known(value) is not True]
            # The first false one did it if all before it held, or the only one that is not known to hold.
            if undecided and (known(undecided[0]) is False or len(undecided) == 1):
                return replace(self, part=undecided[0])
        if isinstance(part, ast.Call):
            return self._failing_item(part)
        return None

    def _failing_item(self, call: ast.Call) -> _Failure | None:
        loop = _all_over_one_list(call, self.values)
        if loop is None:
            return None
        name, iterated, condition = loop
        items = self.values.evaluate(iterated)
        if type(items) not in (list, tuple):
            return None
        for index, item in enumerate(cast("Sequence[object]", items)[:_MAX_SEARCHED]):
            inner = self.values.binding(name, item)
            if truth(inner.evaluate(condition)) is False:
                return _Failure(condition, inner, self.source, f" at {self.source(iterated)}[{index}]")
        return None

    def _truth(self, node: ast.expr) -> bool | Unknown:
        return truth(self.values.evaluate(node))

    def actual(self) -> str:
        shown: dict[str, str] = {}
        for operand in _operands(self.part, frozenset(), self.values):
            value = self.values.evaluate(operand)
            if _worth_showing(operand, value):
                shown.setdefault(self.source(operand), show(value))
        if not shown:
            return ""
        if len(shown) == 1 and _is_whole_operand(self.part, next(iter(shown)), self.source):
            return f"actual: {next(iter(shown.values()))}"
        return "actual: " + ", ".join(f"{name} = {value}" for name, value in shown.items())


def _all_over_one_list(call: ast.Call, values: Values) -> tuple[str, ast.expr, ast.expr] | None:
    """Of `all(CONDITION for NAME in LIST)`: the name, the list and the condition."""
    # A name that has a value here is not the builtin.
    is_all = isinstance(call.func, ast.Name) and call.func.id == "all" and values.evaluate(call.func) is UNKNOWN
    loop = call.args[0] if len(call.args) == 1 else None
    if not is_all or not isinstance(loop, (ast.GeneratorExp, ast.ListComp)):
        return None
    first, *others = loop.generators
    if others or first.ifs or not isinstance(first.target, ast.Name):
        return None
    return first.target.id, first.iter, loop.elt


def _worth_showing(operand: ast.expr, value: object) -> bool:
    if value is UNKNOWN or isinstance(value, type) or inspect.ismodule(value):
        return False
    is_record = record_fields(type(value)) is not None
    if isinstance(operand, ast.Name) and (is_record or callable(value)):
        # A whole contract under a bare name is the rejected answer itself, or an input: the model has it already.
        return False
    # A default repr says nothing.
    return is_record or type(value).__repr__ is not object.__repr__


def _operands(node: ast.AST, bound: frozenset[str], values: Values) -> Iterator[ast.expr]:
    """The largest names, attributes, subscripts and calls in `node` whose values are known and not just true or false.

    `bound` names belong to a loop.
    """
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)) and _is_known(node, bound, values):
        yield node
        return
    for child, inside in _children(node):
        yield from _operands(child, bound | _bound_by(node) if inside else bound, values)


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """The parts of `node` to look into, each with whether it sees the names that `node` binds."""
    if isinstance(node, ast.Call):
        # Not the callee's own name, but what a method is called on.
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        yield from ((part, True) for part in (*receiver, *node.args, *node.keywords))
    elif isinstance(node, ast.NamedExpr):
        yield node.value, True
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        # The first iterable belongs to the scope around the loop.
        first = node.generators[0]
        yield first.iter, False
        yield from ((part, True) for part in ast.iter_child_nodes(node) if part is not first)
        yield from ((part, True) for part in first.ifs)
    else:
        yield from ((part, True) for part in ast.iter_child_nodes(node))


def _is_known(node: ast.expr, bound: frozenset[str], values: Values) -> bool:
    names = (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
    if not bound.isdisjoint(names):
        return False
    value = values.evaluate(node)
    # That a call is false says less than what it was called on.
    return value is not UNKNOWN and not (isinstance(node, ast.Call) and isinstance(value, bool))


def _bound_by(node: ast.AST) -> frozenset[str]:
    if isinstance(node, ast.Lambda):
        arguments = node.args
        return frozenset(
            arg.arg
            for arg in (
                *arguments.posonlyargs,
                *arguments.args,
                *arguments.kwonlyargs,
                arguments.vararg,
                arguments.kwarg,
            )
            if arg is not None
        )
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        targets = (name for generator in node.generators for name in ast.walk(generator.target))
        return frozenset(name.id for name in targets if isinstance(name, ast.Name))
    return frozenset()


def _is_whole_operand(part: ast.expr, name: str, source: Source) -> bool:
    """Whether the one shown value is a side of every comparison, or all of the condition, rather than inside a call."""
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not):
        part = part.operand
    if isinstance(part, ast.BoolOp):
        return all(_is_whole_operand(value, name, source) for value in part.values)
    sides = [part.left, *part.comparators] if isinstance(part, ast.Compare) else [part]
    return any(source(side.value if isinstance(side, ast.NamedExpr) else side) == name for side in sides)
