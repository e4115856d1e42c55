"""`explain`: which part of a false condition failed, and on what values.

Shared by `ensure` lambdas (values read again, safely, after the fact) and by the expression language (values as
they were computed). Calls are never run for an explanation.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

from stratum.contracts.rendering import record_fields, show


class Unknown(Enum):
    """What `evaluate` gives for an expression it must not, or cannot, evaluate."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

Evaluate = Callable[[ast.expr], object]


def explain(condition: ast.expr, *, evaluate: Evaluate, source: Callable[[ast.expr], str]) -> str:
    """What was seen where `condition` should have held.

    `actual: 0.42` where one value decides; `actual: r.low = 5, r.high = 3` where several do;
    `failed: r.high < 10, actual: 12` where one part of an `and` did not hold. Empty where nothing can be said.
    """
    part = _failing_part(condition, evaluate)
    values = _values(part, evaluate, source)
    if len(values) == 1 and _is_whole_operand(part, next(iter(values)), source):
        actual = f"actual: {next(iter(values.values()))}"
    else:
        actual = "actual: " + ", ".join(f"{name} = {value}" for name, value in values.items()) if values else ""
    if part is condition:
        return actual
    return f"failed: {source(part)}" + (f", {actual}" if actual else "")


def truth(value: object) -> bool | Unknown:
    """`bool(value)` where that runs no code of the value's own class."""
    if value is UNKNOWN:
        return UNKNOWN
    if value is None or type(value) in (bool, int, float, str, bytes, list, tuple, dict, set, frozenset):
        return bool(value)
    return UNKNOWN


def _failing_part(node: ast.expr, evaluate: Evaluate) -> ast.expr:
    """The part of an `and`, or the branch of an `if`, that made `node` false; `node` itself where that is not certain."""
    if isinstance(node, ast.IfExp):
        chosen = truth(evaluate(node.test))
        if chosen is UNKNOWN:
            return node
        return _failing_part(node.body if chosen else node.orelse, evaluate)
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        undecided = [part for part in node.values if truth(evaluate(part)) is not True]
        # `a and b` is false: the first false part did it if all before it held, or the only one not known to hold.
        if undecided and (truth(evaluate(undecided[0])) is False or len(undecided) == 1):
            return _failing_part(undecided[0], evaluate)
    return node


def _values(node: ast.expr, evaluate: Evaluate, source: Callable[[ast.expr], str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for operand in _operands(node, frozenset(), evaluate):
        value = evaluate(operand)
        if _worth_showing(operand, value):
            values.setdefault(source(operand), show(value))
    return values


def _worth_showing(operand: ast.expr, value: object) -> bool:
    if value is UNKNOWN or isinstance(value, type) or inspect.ismodule(value):
        return False
    if isinstance(operand, ast.Name):
        # A whole contract under a bare name is the rejected answer itself, or an input: the model has it already.
        return not callable(value) and record_fields(type(value)) is None
    return True


def _operands(node: ast.AST, bound: frozenset[str], evaluate: Evaluate) -> Iterator[ast.expr]:
    """The largest names, attributes and subscripts in `node` whose values are known; `bound` names belong to an inner scope."""
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and _is_known(node, bound, evaluate):
        yield node
        return
    if isinstance(node, ast.Call):
        # Not the callee's own name, but what a method is called on.
        inner: list[ast.AST] = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        inner += [*node.args, *node.keywords]
    elif isinstance(node, ast.NamedExpr):
        inner = [node.value]
    else:
        inner = list(ast.iter_child_nodes(node))
    for child in inner:
        yield from _operands(child, bound | _bound_by(node), evaluate)


def _is_known(node: ast.expr, bound: frozenset[str], evaluate: Evaluate) -> bool:
    names = (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
    return bound.isdisjoint(names) and evaluate(node) is not UNKNOWN


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


def _is_whole_operand(part: ast.expr, name: str, source: Callable[[ast.expr], str]) -> bool:
    """Whether the one shown value is a side of the comparison, or all of the condition, rather than inside a call."""
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not):
        part = part.operand
    sides = [part.left, *part.comparators] if isinstance(part, ast.Compare) else [part]
    return any(source(side.value if isinstance(side, ast.NamedExpr) else side) == name for side in sides)
