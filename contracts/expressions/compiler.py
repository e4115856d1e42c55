"""An expression's syntax tree, turned into nested closures: nothing that is not listed here can be compiled.

Values are JSON values, and sets. No attribute of a Python object is ever read: a dot reads a key. So there is no way
to a class, a frame or a module, whatever names an expression uses.
"""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Final, cast

from stratum.contracts.expressions.evidence import EXAMPLES, check_call, written_out
from stratum.contracts.expressions.functions import (
    FUNCTIONS,
    METHOD_NAMES,
    METHODS,
    TAKE_A_LOOP,
    check_collected,
    collect,
)
from stratum.contracts.expressions.limits import Fault, Pattern, Steps
from stratum.contracts.expressions.runtime import (
    ARITHMETIC,
    COMPARISONS,
    Comparison,
    Compiled,
    Frame,
    Level,
    added,
    answer,
    computed,
    guarded,
    number,
    read_field,
    read_item,
    read_name,
    read_slice,
    read_step,
    run_loop,
)
from stratum.contracts.expressions.runtime import key as key_of
from stratum.contracts.expressions.values import kind

MAX_DEPTH: Final = 100
"""Parts within parts of one expression."""
SEE_DOCS: Final = "docs/expressions.md lists what an expression may contain"
_CONSTANT_PARTS: Final = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)


@functools.cache
def _signature(function: str) -> inspect.Signature:
    """Making it takes a third as long as all else of an expression, and there are few functions."""
    return inspect.signature(FUNCTIONS[function])


class Compiler:
    """Compiles one expression; `steps` and `evidence` are what it turned out to look at."""

    def __init__(self, names: Collection[str], loops: Collection[str] = ()) -> None:
        self._names = names
        self._loops = set(loops)
        self._depth = 0
        self.steps: set[str] = set()
        """Ids of the plan steps it reads."""
        self.evidence: set[str] = set()
        """Evidence functions it calls."""
        self.commands: list[tuple[str, ...]] = []

    def compile(self, node: ast.expr) -> Compiled:
        """A closure that evaluates `node` in a frame.

        Raises:
            Fault: `node` has a part that the language does not have.
        """
        compile_node = self._COMPILERS.get(type(node))
        if compile_node is None:
            raise Fault(node, f"{_construct(node)} cannot be used here", SEE_DOCS)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Fault(node, "it is nested too deeply", "split it into several conditions")
        try:
            return compile_node(self, node)
        finally:
            self._depth -= 1

    def _constant(self, node: ast.Constant) -> Compiled:
        value = node.value
        if not (value is None or isinstance(value, (bool, int, float, str))):
            raise Fault(node, f"{_construct(node)} cannot be used here", "use a number, a text, True, False or None")
        return lambda frame: value

    def _name(self, node: ast.Name) -> Compiled:
        name = node.id
        if name in self._loops:
            return lambda frame: frame.loops[name]
        if name == "steps" and name in self._names:
            raise Fault(node, "`steps` needs the id of a step", 'write steps["3"].output')
        if name in self._names:
            return lambda frame: read_name(frame, name, node)
        if name in FUNCTIONS or name in EXAMPLES:
            raise Fault(node, f"the function {name} is not called", f"write {name}(...)")
        raise Fault(node, f"there is no {name!r}", self._meant(name))

    def _meant(self, name: str) -> str:
        if name in ("true", "false", "null"):
            return f"write {name.replace('null', 'none').capitalize()}"
        known = [*self._names, *self._loops, *FUNCTIONS, *EXAMPLES]
        close = difflib.get_close_matches(name, known, n=1)
        return f"did you mean {close[0]!r}?" if close else f"the names are: {', '.join(self._names)}"

    def _attribute(self, node: ast.Attribute) -> Compiled:
        if node.attr.startswith("_"):
            raise Fault(node, "names that begin with an underscore cannot be read", SEE_DOCS, at_field=True)
        if self._is_steps(node.value):
            return self._step(node, node.attr)
        value, field = self.compile(node.value), node.attr
        return lambda frame: read_field(value(frame), field, node)

    def _subscript(self, node: ast.Subscript) -> Compiled:
        if self._is_steps(node.value):
            if not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, (str, int))):
                raise Fault(node.slice, "the id of a step must be written out", 'write steps["3"]')
            return self._step(node, str(node.slice.value))
        value = self.compile(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = [self._bound(part) for part in (node.slice.lower, node.slice.upper, node.slice.step)]
            return guarded(
                node, lambda frame: read_slice(frame, value(frame), slice(*(bound(frame) for bound in bounds)), node)
            )
        index = self.compile(node.slice)
        return lambda frame: read_item(value(frame), index(frame), node)

    def _bound(self, part: ast.expr | None) -> Compiled:
        return self.compile(part) if part is not None else lambda frame: None

    def _is_steps(self, node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Name) and node.id == "steps" and "steps" in self._names and "steps" not in self._loops
        )

    def _step(self, node: ast.expr, step: str) -> Compiled:
        self.steps.add(step)
        return lambda frame: read_step(frame, step, node)

    def _boolean(self, node: ast.BoolOp) -> Compiled:
        parts = [self.compile(part) for part in node.values]
        if isinstance(node.op, ast.And):
            return lambda frame: all(part(frame) for part in parts)
        return lambda frame: any(part(frame) for part in parts)

    def _conditional(self, node: ast.IfExp) -> Compiled:
        test, body, otherwise = self.compile(node.test), self.compile(node.body), self.compile(node.orelse)
        return lambda frame: body(frame) if test(frame) else otherwise(frame)

    def _unary(self, node: ast.UnaryOp) -> Compiled:
        value = self.compile(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda frame: not value(frame)
        if isinstance(node.op, ast.USub):
            return lambda frame: -number(value(frame), node)
        if isinstance(node.op, ast.UAdd):
            return lambda frame: number(value(frame), node)
        raise Fault(node, "~ cannot be used here", SEE_DOCS)

    def _arithmetic(self, node: ast.BinOp) -> Compiled:
        left, right = self.compile(node.left), self.compile(node.right)
        compute = ARITHMETIC.get(type(node.op))
        if isinstance(node.op, ast.Add):
            compiled = guarded(node, lambda frame: added(frame, left(frame), right(frame), node))
        elif compute is not None:
            compiled = guarded(node, lambda frame: computed(compute, left(frame), right(frame), node))
        else:
            raise Fault(node, "this operator cannot be used here", "use + - * / // % **")
        if all(isinstance(part, _CONSTANT_PARTS) for part in ast.walk(node)):
            # `9 ** 9 ** 9` never works: whoever writes a plan is told so before anything runs.
            compiled(Frame({}, {}, steps=Steps()))
        return compiled

    def _compare(self, node: ast.Compare) -> Compiled:
        first = self.compile(node.left)
        links = [
            (self._comparison(op, side), self.compile(side), side)
            for op, side in zip(node.ops, node.comparators, strict=True)
        ]

        def compare(frame: Frame) -> bool:
            left = first(frame)
            for holds, side, place in links:
                right = side(frame)
                if not holds(frame, left, right, place):
                    return False
                left = right
            return True

        return compare

    def _comparison(self, op: ast.cmpop, side: ast.expr) -> Comparison:
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not (isinstance(side, ast.Constant) and (side.value is None or isinstance(side.value, bool))):
                raise Fault(side, "`is` compares with None, True or False only", "write == or !=")
            same = isinstance(op, ast.Is)
            return lambda frame, left, right, node: (left is right) == same
        return COMPARISONS[type(op)]

    def _call(self, node: ast.Call) -> Compiled:
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        if not isinstance(node.func, ast.Name):
            raise Fault(node, "only functions by name can be called", SEE_DOCS)
        name = node.func.id
        if name in EXAMPLES:
            return self._evidence(node, name)
        if name not in FUNCTIONS or name in self._loops:
            raise Fault(node.func, f"there is no function {name!r}", self._meant(name))
        function = FUNCTIONS[name]
        arguments, keywords = self._arguments(node, name)
        return guarded(
            node,
            lambda frame: function(
                frame.steps, node, *(a(frame) for a in arguments), **{k: v(frame) for k, v in keywords.items()}
            ),
        )

    def _arguments(self, node: ast.Call, name: str) -> tuple[list[Compiled], dict[str, Compiled]]:
        if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp) and name in TAKE_A_LOOP:
            arguments = [self._loop(node.args[0], node.args[0].elt)]
        elif name == "matches":
            arguments = self._text_and_pattern(node)
        else:
            arguments = [self.compile(argument) for argument in node.args]
        keywords: dict[str, Compiled] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise Fault(node, "** cannot be used here", SEE_DOCS)
            keywords[keyword.arg] = self.compile(keyword.value)
        try:
            _signature(name).bind(None, node, *arguments, **keywords)
        except TypeError as error:
            raise Fault(node, f"{name}: {error}", SEE_DOCS) from error
        return arguments, keywords

    def _text_and_pattern(self, node: ast.Call) -> list[Compiled]:
        written = node.args[1] if len(node.args) == 2 else None
        if not (isinstance(written, ast.Constant) and isinstance(written.value, str)):
            raise Fault(
                node, "matches takes a text and a pattern that is written out", "matches(result.id, '^[a-z]+$')"
            )
        try:
            pattern = Pattern(written.value)
        except ValueError as error:
            raise Fault(written, f"not a pattern: {error}", "use a simpler pattern, without look-around") from error
        return [self.compile(node.args[0]), lambda frame: pattern]

    def _method(self, node: ast.Call, func: ast.Attribute) -> Compiled:
        name = func.attr
        if name not in METHOD_NAMES:
            close = difflib.get_close_matches(name, METHOD_NAMES, n=1)
            raise Fault(
                func,
                f"there is no method {name!r}",
                f"did you mean {close[0]!r}?" if close else SEE_DOCS,
                at_field=True,
            )
        receiver = self.compile(func.value)
        arguments = [self.compile(argument) for argument in node.args]
        if node.keywords:
            raise Fault(node, "methods take no keywords here", "pass the arguments in order")

        def call(frame: Frame) -> Any:
            value: object = receiver(frame)
            method = METHODS.get(type(value), {}).get(name)
            if method is None:
                raise Fault(func, f"{kind(value)} has no method {name!r}", SEE_DOCS, at_field=True)
            return method(frame.steps, node, value, *(argument(frame) for argument in arguments))

        return guarded(node, call)

    def _evidence(self, node: ast.Call, name: str) -> Compiled:
        check_call(node, name)
        arguments = [self.compile(argument) for argument in node.args]
        self.evidence.add(name)
        if name == "command_succeeds":
            self.commands.append(written_out(node))
        return lambda frame: answer(frame, name, [argument(frame) for argument in arguments], node)

    def _sequence(self, node: ast.List | ast.Tuple) -> Compiled:
        parts = [self.compile(part) for part in node.elts]
        return lambda frame: [part(frame) for part in parts]

    def _set(self, node: ast.Set) -> Compiled:
        parts = [self.compile(part) for part in node.elts]
        return lambda frame: collect(frame.steps, node, [part(frame) for part in parts])

    def _object(self, node: ast.Dict) -> Compiled:
        if any(key is None for key in node.keys):
            raise Fault(node, "** cannot be used here", SEE_DOCS)
        parts = [
            (self.compile(cast("ast.expr", key)), self.compile(value))
            for key, value in zip(node.keys, node.values, strict=True)
        ]
        return lambda frame: {key_of(key(frame), node): value(frame) for key, value in parts}

    def _list_loop(self, node: ast.ListComp) -> Compiled:
        loop = self._loop(node, node.elt)
        return lambda frame: list(loop(frame))

    def _set_loop(self, node: ast.SetComp) -> Compiled:
        loop = self._loop(node, node.elt)
        return lambda frame: collect(frame.steps, node, loop(frame))

    def _object_loop(self, node: ast.DictComp) -> Compiled:
        loop = self._loop(node, ast.Tuple([node.key, node.value], ast.Load()))

        def build(frame: Frame) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for key, value in loop(frame):
                found[key_of(key, node)] = value
                check_collected(len(found), node)
            return found

        return build

    def _loop(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, element: ast.expr) -> Compiled:
        """A closure that gives an iterator over the loop's elements; the function around it consumes it at once."""
        own: list[str] = []
        levels: list[Level] = []
        try:
            for generator in node.generators:
                iterated = self.compile(generator.iter)
                names = self._targets(generator.target)
                own += names
                self._loops.update(names)
                cost = sum(1 for part in (element, *generator.ifs) for _ in ast.walk(part))
                tests = [self.compile(part) for part in generator.ifs]
                levels.append(Level(generator, iterated, names=names, tests=tests, cost=cost))
            produce = self.compile(element)
        finally:
            self._loops.difference_update(own)
        return lambda frame: run_loop(frame, levels, produce)

    def _targets(self, target: ast.expr) -> list[str]:
        parts = target.elts if isinstance(target, ast.Tuple) else [target]
        names: list[str] = []
        for part in parts:
            if not isinstance(part, ast.Name):
                raise Fault(target, "a loop's variable must be a name", "for x in ...")
            if (
                part.id in self._names
                or part.id in FUNCTIONS
                or part.id in self._loops
                or part.id in names
                or part.id in EXAMPLES
            ):
                raise Fault(part, f"{part.id!r} already means something", "use another name")
            names.append(part.id)
        return names

    _COMPILERS: ClassVar[Mapping[type[ast.expr], Callable[..., Compiled]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.BoolOp: _boolean,
        ast.IfExp: _conditional,
        ast.UnaryOp: _unary,
        ast.BinOp: _arithmetic,
        ast.Compare: _compare,
        ast.Call: _call,
        ast.List: _sequence,
        ast.Tuple: _sequence,
        ast.Set: _set,
        ast.Dict: _object,
        ast.ListComp: _list_loop,
        ast.SetComp: _set_loop,
        ast.DictComp: _object_loop,
    }


def _construct(node: ast.expr) -> str:
    """What a person calls a part that is not in the language."""
    names: dict[type[ast.expr], str] = {
        ast.Lambda: "a lambda",
        ast.JoinedStr: "an f-string",
        ast.NamedExpr: "an assignment",
        ast.Await: "await",
        ast.Yield: "yield",
        ast.YieldFrom: "yield",
        ast.Starred: "*",
        ast.GeneratorExp: "a loop without [ ]",
    }
    return names.get(type(node), f"`{ast.unparse(node)[:40]}`" if isinstance(node, ast.Constant) else "this")
