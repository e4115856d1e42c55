"""Scopes of a module: which names each binds to what, and where each node stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*FUNCTIONS, ast.Lambda, ast.ClassDef)

BindingKind = Literal["import", "value", "annotation", "definition", "unknown"]


@dataclass(frozen=True, slots=True)
class Binding:
    """One thing that a name is bound to."""

    kind: BindingKind
    node: ast.AST | None = None
    """The value, the annotation or the definition."""
    dotted: str = ""
    """Of an import: the full name."""


@dataclass(slots=True, eq=False)
class Scope:
    node: ast.AST
    parent: Scope | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict[str, list[Binding]])
    shared: set[str] = field(default_factory=set[str])
    """Declared `global` or `nonlocal`."""

    def bind(self, name: str, binding: Binding) -> None:
        owner = self
        if name in self.shared and self.parent is not None:
            owner = self.root
        owner.bindings.setdefault(name, []).append(binding)

    @property
    def root(self) -> Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def lookup(self, name: str) -> list[Binding] | None:
        """What `name` may be here; a class body's names are not seen by its functions."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bindings and (scope is self or not isinstance(scope.node, ast.ClassDef)):
                return scope.bindings[name]
            scope = scope.parent
        return None


class Layout:
    """Every node's parent and scope. Built without recursion: a tree may be deeper than Python's stack."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parent: dict[ast.AST, ast.AST] = {}
        self.module = Scope(tree, None)
        self.inner: dict[ast.AST, Scope] = {tree: self.module}
        """By function, lambda and class: the scope of its body."""
        self._scope: dict[ast.AST, Scope] = {tree: self.module}
        self._place()
        self.nodes = list(self._scope)
        for node in self.nodes:
            if isinstance(node, ast.Global | ast.Nonlocal):
                self._scope[node].shared.update(node.names)
        for node in self.nodes:
            _bind(node, self._scope[node], self)

    def adopt(self, node: ast.AST, where: ast.AST) -> None:
        """Give a node that was parsed from a text the place of that text."""
        self._scope[node] = self.scope(where)

    def scope(self, node: ast.AST) -> Scope:
        return self._scope.get(node, self.module)

    def function(self, node: ast.AST) -> Function | None:
        """The function whose body `node` is in."""
        scope: Scope | None = self.scope(node)
        while scope is not None:
            if isinstance(scope.node, FUNCTIONS):
                return scope.node
            scope = scope.parent
        return None

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around it, innermost first."""
        while (parent := self.parent.get(node)) is not None:
            yield parent
            node = parent

    def _place(self) -> None:
        waiting: list[tuple[ast.AST, Scope]] = [(self.tree, self.module)]
        while waiting:
            node, scope = waiting.pop()
            inside = scope
            if isinstance(node, _SCOPES):
                inside = self.inner[node] = Scope(node, scope)
            outside = _evaluated_outside(node)
            for child in ast.iter_child_nodes(node):
                self.parent[child] = node
                belongs = scope if child in outside else inside
                self._scope[child] = belongs
                waiting.append((child, belongs))


def own_nodes(*roots: ast.AST) -> Iterator[ast.AST]:
    """The nodes below and including `roots`, without the bodies of functions and classes defined there."""
    waiting = list(reversed(roots))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def parameters(node: ast.AST) -> list[ast.arg]:
    """All of a function's, in order."""
    if not isinstance(node, (*FUNCTIONS, ast.Lambda)):
        return []
    of = node.args
    extra = [arg for arg in (of.vararg, of.kwarg) if arg is not None]
    return [*of.posonlyargs, *of.args, *of.kwonlyargs, *extra]


def _evaluated_outside(node: ast.AST) -> set[ast.AST]:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return set(node.decorator_list)
    return set()


def _bind(node: ast.AST, scope: Scope, layout: Layout) -> None:
    match node:
        case ast.Import():
            for alias in node.names:
                dotted = alias.name if alias.asname else alias.name.partition(".")[0]
                scope.bind(alias.asname or dotted, Binding("import", dotted=dotted))
        case ast.ImportFrom():
            start = "." * node.level + (node.module or "")
            for alias in node.names:
                scope.bind(alias.asname or alias.name, Binding("import", dotted=f"{start}.{alias.name}"))
        case ast.Assign():
            for target in node.targets:
                _bind_target(target, node.value, scope)
        case ast.AnnAssign(target=ast.Name(id=name)):
            if node.value is not None:
                scope.bind(name, Binding("value", node.value))
            scope.bind(name, Binding("annotation", node.annotation))
        case ast.NamedExpr():
            scope.bind(node.target.id, Binding("value", node.value))
        case ast.withitem(optional_vars=ast.expr() as target):
            _bind_target(target, node.context_expr, scope)
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            _bind_unknown(node.target, scope)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            scope.bind(node.name, Binding("definition", node))
            _bind_parameters(node, layout.inner[node])
        case ast.Lambda():
            _bind_parameters(node, layout.inner[node])
        case _:
            pass


def _bind_target(target: ast.expr, value: ast.expr, scope: Scope) -> None:
    if isinstance(target, ast.Name):
        scope.bind(target.id, Binding("value", value))
    elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for part, its in zip(target.elts, value.elts, strict=False):
            _bind_target(part, its, scope)
    else:
        _bind_unknown(target, scope)


def _bind_unknown(target: ast.AST, scope: Scope) -> None:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            scope.bind(node.id, Binding("unknown"))


def _bind_parameters(node: ast.AST, inner: Scope) -> None:
    for arg in parameters(node):
        inner.bind(arg.arg, Binding("unknown") if arg.annotation is None else Binding("annotation", arg.annotation))
