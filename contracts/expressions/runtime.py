"""What an expression does while it is evaluated: reads, comparisons, arithmetic, loops; each bounded."""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from stratum.contracts.expressions.evidence import EXAMPLES, EvidenceCall, EvidenceNeeded
from stratum.contracts.expressions.functions import built, items
from stratum.contracts.expressions.limits import Fault, Steps, bounded_integer, check_power
from stratum.contracts.expressions.values import is_list, is_number, is_object, is_scalar, is_set, is_text, kind


class Frame:
    """One evaluation: what the names mean, what is known of the world, and what it may still cost."""

    __slots__ = ("answers", "loops", "names", "steps")

    def __init__(
        self,
        names: Mapping[str, Any],
        answers: Mapping[EvidenceCall, bool],
        *,
        steps: Steps,
        loops: Mapping[str, Any] | None = None,
    ) -> None:
        self.names = names
        self.answers = answers
        self.loops = dict(loops or {})
        """The variables of the loops that are running."""
        self.steps = steps


Compiled = Callable[[Frame], Any]


def guarded(node: ast.AST, compiled: Compiled) -> Compiled:
    """`compiled`, with Python's own complaints as faults of `node`."""

    def evaluate(frame: Frame) -> Any:
        try:
            return compiled(frame)
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise Fault(node, str(error).lstrip("_") or type(error).__name__, "test for it first") from error

    return evaluate


# Reading


def read_name(frame: Frame, name: str, node: ast.AST) -> Any:
    if name not in frame.names:
        raise Fault(node, f"{name!r} is not known here", f"use one of: {', '.join(frame.names)}")
    return frame.names[name]


def read_step(frame: Frame, step: str, node: ast.AST) -> Any:
    return read_field(read_name(frame, "steps", node), step, node)


def answer(frame: Frame, function: str, arguments: Sequence[Any], node: ast.AST) -> bool:
    """What is known of the world.

    Raises:
        EvidenceNeeded: nothing yet.
    """
    for argument in arguments:
        if not is_text(argument):
            raise Fault(node, f"{function} takes texts, not {kind(argument)}", f"write {EXAMPLES[function]}")
    call = EvidenceCall(function, tuple(arguments))
    if call not in frame.answers:
        raise EvidenceNeeded(call)
    return frame.answers[call]


def read_field(value: Any, field: str, node: ast.AST) -> Any:
    if not is_object(value):
        fix = "test that it is not None first" if value is None else "read a field of an object"
        raise Fault(node, f"{kind(value)} has no field {field!r}", fix, at_field=True)
    if field not in value:
        raise Fault(node, f"there is no field {field!r}", field_hint(field, value), at_field=True)
    return value[field]


def read_item(value: Any, index: Any, node: ast.AST) -> Any:
    if is_object(value) and is_text(index):
        return read_field(value, index, node)
    if not (is_list(value) or is_text(value)) or not isinstance(index, int):
        fix = "index a list by a number, an object by a text"
        raise Fault(node, f"{kind(value)} cannot be indexed by {kind(index)}", fix)
    if not -len(value) <= index < len(value):
        raise Fault(node, f"there is no item {index}", f"it has {len(value)}")
    return value[index]


def read_slice(frame: Frame, value: Any, part: slice[Any, Any, Any], node: ast.AST) -> Any:
    if not (is_list(value) or is_text(value)):
        raise Fault(node, f"{kind(value)} has no parts", "take a part of a list or a text")
    frame.steps.charge(len(value) // 64 + 1 if is_text(value) else len(value), node)
    return value[part]


def field_hint(field: str, fields: Mapping[str, object]) -> str:
    """What to write instead of a field that does not exist."""
    close = difflib.get_close_matches(field, islice(fields, 100), n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"its fields are: {', '.join(islice(fields, 10))}" if fields else "it has none"


# Comparing


Comparison = Callable[[Frame, Any, Any, ast.AST], bool]


def _equal(frame: Frame, left: Any, right: Any, node: ast.AST) -> bool:
    frame.steps.charge_all_of(left, node)
    return bool(left == right)


def _not_equal(frame: Frame, left: Any, right: Any, node: ast.AST) -> bool:
    return not _equal(frame, left, right, node)


def _ordered(compare: Callable[[Any, Any], bool]) -> Comparison:
    def holds(frame: Frame, left: Any, right: Any, node: ast.AST) -> bool:
        if not ((is_number(left) and is_number(right)) or (is_text(left) and is_text(right))):
            raise Fault(node, f"{kind(left)} and {kind(right)} have no order", "compare two numbers or two texts")
        return compare(left, right)

    return holds


def _contains(frame: Frame, item: Any, container: Any, node: ast.AST) -> bool:
    if is_text(container):
        if not is_text(item):
            raise Fault(node, f"{kind(item)} cannot be in a text", "look for a text in it")
        # Python's search is linear for long needles, and at worst the product for short ones.
        frame.steps.charge(len(container) * min(len(item), 64) // 4096 + 1, node)
        return item in container
    if is_set(container) or is_object(container):
        # Numbers chosen to collide make one look-up go through all of a set.
        frame.steps.charge(len(container) // 100 + 1 if is_set(container) else 1, node)
        return is_scalar(item) and item in container
    if not is_list(container):
        raise Fault(node, f"nothing can be in {kind(container)}", "look in a list, a text or an object")
    frame.steps.charge_all_of(container, node)
    return item in container


def _lacks(frame: Frame, item: Any, container: Any, node: ast.AST) -> bool:
    return not _contains(frame, item, container, node)


COMPARISONS: Final[Mapping[type[ast.cmpop], Comparison]] = {
    ast.Eq: _equal,
    ast.NotEq: _not_equal,
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: _contains,
    ast.NotIn: _lacks,
}


# Arithmetic


def number(value: Any, node: ast.AST) -> Any:
    if not is_number(value):
        raise Fault(node, f"{kind(value)} is not a number", "compute with numbers")
    return value


def added(frame: Frame, left: Any, right: Any, node: ast.AST) -> Any:
    if is_text(left) and is_text(right):
        frame.steps.charge((len(left) + len(right)) // 64 + 1, node)
        return built(left + right, node)
    if is_list(left) and is_list(right):
        frame.steps.charge(len(left) + len(right), node)
        return [*left, *right]
    return bounded_integer(number(left, node) + number(right, node), node)


def _power(left: Any, right: Any) -> Any:
    raised = left**right
    if isinstance(raised, complex):
        raise ArithmeticError("the root of a negative number")
    return raised


ARITHMETIC: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
    ast.Pow: _power,
}


def computed(compute: Callable[[Any, Any], Any], left: Any, right: Any, node: ast.AST) -> Any:
    bounded_integer(number(left, node), node)
    bounded_integer(number(right, node), node)
    if compute is _power:
        check_power(left, right, node)
    return bounded_integer(compute(left, right), node)


# Loops


class Level:
    """One `for` of a loop."""

    def __init__(
        self, node: ast.comprehension, iterated: Compiled, *, names: Sequence[str], tests: Sequence[Compiled], cost: int
    ) -> None:
        self.node = node.target
        self.iterated = iterated
        self.names = names
        self.tests = tests
        self.cost = cost
        """Parts evaluated for each item."""

    def bindings(self, frame: Frame) -> Iterator[None]:
        """Bind each item that passes the tests, in turn."""
        for item in items(frame.steps, self.node, self.iterated(frame)):
            frame.steps.charge(self.cost, self.node)
            self._bind(frame, item)
            if all(test(frame) for test in self.tests):
                yield

    def _bind(self, frame: Frame, item: Any) -> None:
        if isinstance(self.node, ast.Name):
            frame.loops[self.names[0]] = item
            return
        if not is_list(item) or len(item) != len(self.names):
            raise Fault(self.node, f"an item is not {len(self.names)} values", "use one variable")
        frame.loops.update(zip(self.names, item, strict=True))


def run_loop(frame: Frame, levels: Sequence[Level], produce: Compiled) -> Iterator[Any]:
    """What a loop produces, level by level."""
    if not levels:
        yield produce(frame)
        return
    for _ in levels[0].bindings(frame):
        yield from run_loop(frame, levels[1:], produce)


def key(value: Any, node: ast.AST) -> str:
    if not is_text(value):
        raise Fault(node, f"{kind(value)} cannot be a key", "use a text")
    return value
