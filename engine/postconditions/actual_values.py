"""`ActualValues`: what the parts of a lambda's body evaluate to, read a second time without running anyone's code.

Names, declared fields, subscripts of plain containers and comparisons of plain values. Everything else, calls and
properties above all, is `UNKNOWN`: an explanation must have no effects.
"""

from __future__ import annotations

import ast
import operator
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, EnumMeta
from itertools import islice
from types import ModuleType, NoneType
from typing import Any, ClassVar, Final, cast
from uuid import UUID

from stratum.contracts.expressions.explanation import UNKNOWN, truth
from stratum.contracts.rendering import plain_attribute

_SCALARS: Final = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, Decimal, date, datetime, time, timedelta, UUID}
)
_CONTAINERS: Final = frozenset({list, tuple, set, frozenset, dict})
_MAX_COMPARED = 10_000
"""Items of a container that is compared again for an explanation."""


def _is_in(item: Any, container: Any) -> bool:
    return item in container


def _is_not_in(item: Any, container: Any) -> bool:
    return item not in container


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: _is_in,
    ast.NotIn: _is_not_in,
}


class ActualValues:
    """Evaluates parts of a lambda's body among the names it ran with."""

    def __init__(self, names: Mapping[str, object], assigned: Mapping[str, ast.expr]) -> None:
        self._names = names
        self._assigned = assigned
        """Names bound by `:=`, each with its expression: it has that value wherever else it is read."""

    def binding(self, name: str, value: object) -> ActualValues:
        """The same names inside a loop over `name`."""
        return ActualValues(ChainMap({name: value}, cast("dict[str, object]", self._names)), self._assigned)

    def evaluate(self, node: ast.expr) -> object:
        """The value of `node`, or `UNKNOWN`. Raises nothing."""
        evaluate = self._EVALUATORS.get(type(node))
        try:
            return UNKNOWN if evaluate is None else evaluate(self, node)
        except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RecursionError):
            return UNKNOWN

    def _constant(self, node: ast.Constant) -> object:
        return node.value

    def _name(self, node: ast.Name) -> object:
        if node.id in self._assigned:
            return self.evaluate(self._assigned[node.id])
        return self._names[node.id]

    def _walrus(self, node: ast.NamedExpr) -> object:
        return self.evaluate(node.value)

    def _attribute(self, node: ast.Attribute) -> object:
        value = self.evaluate(node.value)
        if isinstance(value, ModuleType):
            return vars(value)[node.attr]
        if isinstance(value, EnumMeta):
            return value.__members__[node.attr]
        return plain_attribute(value, node.attr)

    def _subscript(self, node: ast.Subscript) -> object:
        container, index = self.evaluate(node.value), self.evaluate(node.slice)
        if type(container) not in (list, tuple, dict, str) or type(index) not in (int, str, bool, NoneType, slice):
            return UNKNOWN
        return cast("Any", container)[index]

    def _slice(self, node: ast.Slice) -> object:
        bounds = [None if part is None else self.evaluate(part) for part in (node.lower, node.upper, node.step)]
        return UNKNOWN if UNKNOWN in bounds else slice(*bounds)

    def _sequence(self, node: ast.Tuple | ast.List | ast.Set) -> object:
        items = [self.evaluate(item) for item in node.elts]
        return UNKNOWN if any(item is UNKNOWN for item in items) else tuple(items)

    def _unary(self, node: ast.UnaryOp) -> object:
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.Not):
            known = truth(value)
            return UNKNOWN if known is UNKNOWN else not known
        if isinstance(node.op, ast.USub) and type(value) in (int, float, Decimal):
            return -cast("Any", value)
        return UNKNOWN

    def _boolean(self, node: ast.BoolOp) -> object:
        decisive = isinstance(node.op, ast.Or)
        value: object = UNKNOWN
        for part in node.values:
            value = self.evaluate(part)
            known = truth(value)
            if known is UNKNOWN or known is decisive:
                return value if known is decisive else UNKNOWN
        return value

    def _conditional(self, node: ast.IfExp) -> object:
        known = truth(self.evaluate(node.test))
        return UNKNOWN if known is UNKNOWN else self.evaluate(node.body if known else node.orelse)

    def _compare(self, node: ast.Compare) -> object:
        left = self.evaluate(node.left)
        holds: object = True
        for comparison, side in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(side)
            holds = _compared(left, comparison, right)
            if holds is not True:
                return holds
            left = right
        return holds

    _EVALUATORS: ClassVar[Mapping[type[ast.expr], Callable[..., object]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.NamedExpr: _walrus,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.Slice: _slice,
        ast.Tuple: _sequence,
        ast.List: _sequence,
        ast.Set: _sequence,
        ast.UnaryOp: _unary,
        ast.BoolOp: _boolean,
        ast.IfExp: _conditional,
        ast.Compare: _compare,
    }


def _compared(left: object, comparison: ast.cmpop, right: object) -> object:
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if isinstance(comparison, (ast.Is, ast.IsNot)):
        return (left is right) == isinstance(comparison, ast.Is)
    if not (_plain(left) and _plain(right)):
        return UNKNOWN
    return _COMPARISONS[type(comparison)](left, right)


def _plain(value: object, budget: int = _MAX_COMPARED) -> bool:
    """Whether comparing `value` runs no code but the interpreter's own."""
    if type(value) in _SCALARS or (
        isinstance(value, Enum) and type(value).__eq__ in (object.__eq__, str.__eq__, int.__eq__)
    ):
        return True
    if type(value) not in _CONTAINERS or len(cast("Sequence[object]", value)) > budget:
        return False
    items = cast("Sequence[object]", value)
    parts = [*items, *cast("dict[object, object]", value).values()] if isinstance(value, dict) else items
    return all(_plain(item, budget // (len(items) or 1)) for item in islice(parts, 2 * budget))
