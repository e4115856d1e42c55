"""What an expression stands for: full names through imports, aliases, assignments, `self` and functions of the module."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from stratum.mcp_bridge.drift.scopes import FUNCTIONS, Binding, Function, Layout, Scope, own_nodes, parameters

_MAX_DEPTH: Final = 80
_MAX_ORIGINS: Final = 16
_LONGEST_ANNOTATION: Final = 200
"""In characters, of one that is written as text."""
_WRAPPED: Final = {"typing.Optional", "typing.Annotated", "typing.Union", "typing.Final", "typing.ClassVar"}
_PROPERTIES: Final = {"builtins.property", "functools.cached_property"}


class Origin(NamedTuple):
    """One thing that an expression may be."""

    path: str
    """`openai.OpenAI().chat.completions.create`: `()` for a call, `[]` for a subscript."""
    call: ast.Call | None = None
    """The model call that it is an answer of."""
    local: ast.AST | None = None
    """The function or class of this module that it is, or is an instance of."""
    instance: bool = False
    given: tuple[ast.keyword, ...] = ()
    """Of `functools.partial`: the arguments already passed."""


class Names:
    """Resolves the expressions of one module. Every possible binding counts: the order of statements does not."""

    def __init__(self, layout: Layout, *, reaches_model: Callable[[str], bool]) -> None:
        self.layout = layout
        self._reaches_model = reaches_model
        self._memo: dict[ast.AST, tuple[Origin, ...]] = {}
        self._attributes: dict[ast.ClassDef, dict[str, list[tuple[Binding, Scope]]]] = {}
        self._returned: dict[ast.AST, list[ast.expr]] = {}
        self._depth = 0

    def origins(self, node: ast.AST) -> tuple[Origin, ...]:
        """All that `node` may be; empty where it cannot be told."""
        if node in self._memo:
            return self._memo[node]
        if self._depth > _MAX_DEPTH:
            return ()
        self._memo[node] = ()  # while it is being resolved: a name bound to itself is nothing more
        self._depth += 1
        try:
            found = tuple(dict.fromkeys(self._resolve(node)))[:_MAX_ORIGINS]
        finally:
            self._depth -= 1
        self._memo[node] = found
        return found

    def paths(self, node: ast.AST) -> set[str]:
        return {origin.path for origin in self.origins(node)}

    def functions(self, node: ast.AST) -> list[tuple[Function, str]]:
        """The functions of this module that `node` may be, each with the attribute asked of it (`.sync`)."""
        return [
            (origin.local, origin.path)
            for origin in self.origins(node)
            if isinstance(origin.local, FUNCTIONS) and not origin.instance
        ]

    def attribute(self, owner: ast.ClassDef, name: str) -> list[tuple[Binding, Scope]]:
        """What `self.name` may be: assigned in a method, declared in the class, or inherited within the module."""
        found: list[tuple[Binding, Scope]] = []
        waiting, seen = [owner], {owner}
        while waiting:
            here = waiting.pop()
            found += self._own_attributes(here).get(name, [])
            for base in here.bases:
                for origin in self.origins(base):
                    if isinstance(origin.local, ast.ClassDef) and origin.local not in seen:
                        seen.add(origin.local)
                        waiting.append(origin.local)
        return found

    def _resolve(self, node: ast.AST) -> Iterator[Origin]:
        match node:
            case ast.Name():
                yield from self._name(node)
            case ast.Attribute():
                for origin in self.origins(node.value):
                    yield from self._member(origin, node.attr)
            case ast.Subscript():
                for origin in self.origins(node.value):
                    yield origin._replace(path=f"{origin.path}[]", local=None)
            case ast.Call():
                for origin in self.origins(node.func):
                    yield from self._called(origin, node)
            case ast.Await() | ast.NamedExpr() | ast.Starred() | ast.FormattedValue():
                yield from self.origins(node.value)
            case ast.IfExp():
                yield from (*self.origins(node.body), *self.origins(node.orelse))
            case ast.BoolOp():
                for value in node.values:
                    yield from self.origins(value)
            case _:
                pass

    def _name(self, node: ast.Name) -> Iterator[Origin]:
        scope = self.layout.scope(node)
        bindings = scope.lookup(node.id)
        if bindings is None:
            if hasattr(builtins, node.id):
                yield Origin(f"builtins.{node.id}")
            return
        for binding in bindings:
            yield from self._bound(binding)
        if (owner := self._owner_of_first_parameter(scope, node.id)) is not None:
            yield Origin(f"@{owner.name}", local=owner, instance=True)

    def _bound(self, binding: Binding) -> Iterator[Origin]:
        match binding:
            case Binding("import", dotted=dotted):
                yield Origin(dotted)
            case Binding("value", ast.AST() as value):
                yield from self.origins(value)
            case Binding("annotation", ast.AST() as annotation):
                yield from self._instances(annotation)
            case Binding("definition", (ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef()) as definition):
                yield Origin(f"@{definition.name}", local=definition)
            case _:
                pass

    def _member(self, origin: Origin, name: str) -> Iterator[Origin]:
        if not isinstance(origin.local, ast.ClassDef):
            yield origin._replace(path=f"{origin.path}.{name}")
            return
        for binding, _ in self.attribute(origin.local, name):
            if isinstance(binding.node, FUNCTIONS) and self._is_property(binding.node):
                yield from self._results(binding.node)
            else:
                yield from self._bound(binding)

    def _called(self, origin: Origin, call: ast.Call) -> Iterator[Origin]:
        match origin.local:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._results(origin.local)
            case ast.ClassDef() if not origin.instance:
                yield Origin(origin.path, local=origin.local, instance=True)
            case _ if origin.path == "functools.partial" and call.args:
                for target in self.origins(call.args[0]):
                    yield target._replace(given=(*target.given, *call.keywords))
            case _:
                answers = call if origin.call is None and self._reaches_model(origin.path) else origin.call
                yield Origin(f"{origin.path}()", call=answers)

    def _results(self, function: Function) -> Iterator[Origin]:
        for value in self.returned(function):
            yield from self.origins(value)

    def returned(self, function: Function) -> list[ast.expr]:
        """The expressions of its `return` statements."""
        if function not in self._returned:
            self._returned[function] = [
                node.value
                for node in own_nodes(*function.body)
                if isinstance(node, ast.Return) and node.value is not None
            ]
        return self._returned[function]

    def _instances(self, annotation: ast.AST) -> Iterator[Origin]:
        """What a value of that annotation is: an instance of a class named in it."""
        match annotation:
            case ast.Constant(value=str() as text):
                yield from self._instances_in_text(text, annotation)
            case ast.BinOp(op=ast.BitOr()):
                yield from (*self._instances(annotation.left), *self._instances(annotation.right))
            case ast.Subscript() if self.paths(annotation.value) & _WRAPPED:
                inside = annotation.slice
                for part in inside.elts if isinstance(inside, ast.Tuple) else [inside]:
                    yield from self._instances(part)
            case ast.Name() | ast.Attribute():
                for origin in self.origins(annotation):
                    if isinstance(origin.local, ast.ClassDef):
                        yield origin._replace(instance=True)
                    elif origin.local is None:
                        yield Origin(f"{origin.path}()")
            case _:
                pass

    def _instances_in_text(self, text: str, where: ast.AST) -> Iterator[Origin]:
        if len(text) > _LONGEST_ANNOTATION:
            return
        try:
            parsed = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in ast.walk(parsed):
            self.layout.adopt(node, where)
        if not isinstance(parsed, ast.Constant):
            yield from self._instances(parsed)

    def _owner_of_first_parameter(self, scope: Scope, name: str) -> ast.ClassDef | None:
        """The class whose instance `name` is: the first parameter of one of its methods."""
        at: Scope | None = scope
        while at is not None:
            owner = at.parent.node if at.parent is not None else None
            taken = parameters(at.node)
            if isinstance(at.node, FUNCTIONS) and any(arg.arg == name for arg in taken):
                is_method = isinstance(owner, ast.ClassDef) and taken[0].arg == name
                return owner if is_method and isinstance(owner, ast.ClassDef) else None
            at = at.parent
        return None

    def _is_property(self, function: Function) -> bool:
        return any(self.paths(decorator) & _PROPERTIES for decorator in function.decorator_list)

    def _own_attributes(self, owner: ast.ClassDef) -> dict[str, list[tuple[Binding, Scope]]]:
        if owner not in self._attributes:
            inner = self.layout.inner[owner]
            found = {name: [(binding, inner) for binding in bindings] for name, bindings in inner.bindings.items()}
            for method in owner.body:
                if isinstance(method, FUNCTIONS) and parameters(method):
                    for name, binding in _set_on(parameters(method)[0].arg, method):
                        found.setdefault(name, []).append((binding, self.layout.inner[method]))
            self._attributes[owner] = found
        return self._attributes[owner]


def _set_on(instance: str, method: Function) -> Iterable[tuple[str, Binding]]:
    for node in own_nodes(*method.body):
        targets: list[ast.expr]
        if isinstance(node, ast.Assign):
            targets, binding = node.targets, Binding("value", node.value)
        elif isinstance(node, ast.AnnAssign):
            targets, binding = list[ast.expr]((node.target,)), Binding("annotation", node.annotation)
            if node.value is not None:
                binding = Binding("value", node.value)
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == instance:
                yield target.attr, binding
