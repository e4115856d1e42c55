"""opaque-in-prompt: an `opaque[...]` value that becomes part of instruction text."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from stratum.mcp_bridge.drift.finding import Spot
from stratum.mcp_bridge.drift.model_calls import Module
from stratum.mcp_bridge.drift.scopes import FUNCTIONS, Function, own_nodes, parameters


def opaque_in_prompts(module: Module) -> Iterator[Spot]:
    """Opaque values formatted into a text that a model call takes as instructions."""
    for call in module.calls:
        reach = module.reach(call)
        if reach == "sdk":
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        elif reach == "step":
            arguments = list(_plain_arguments(module, call))
        else:
            continue
        for argument in arguments:
            for node, name in _formatted(module, argument):
                yield Spot(
                    node=node, message=f"opaque {name} is formatted into text that a model reads as instructions"
                )


def _plain_arguments(module: Module, call: ast.Call) -> Iterator[ast.expr]:
    """What a step is given for parameters that are not opaque themselves."""
    for function in module.called(call):
        taken = parameters(function)
        opaque = {arg.arg for arg in taken if _is_opaque(module, arg.annotation)}
        yield from (value for arg, value in zip(taken, call.args, strict=False) if arg.arg not in opaque)
        yield from (keyword.value for keyword in call.keywords if keyword.arg not in opaque)


def _formatted(module: Module, root: ast.expr) -> Iterator[tuple[ast.AST, str]]:
    """The formatting expressions below `root`, or where its names get their values, that hold an opaque value."""
    # Each once: a text that is put together line by line is made of itself.
    waiting: list[ast.AST] = [root]
    seen: set[ast.AST] = {root}
    while waiting:
        for inner in own_nodes(waiting.pop()):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                values = [value for value in _values(module, inner) if value not in seen]
                seen.update(values)
                waiting.extend(values)
            for part in _parts(inner):
                if (name := _opaque_name(module, part)) is not None:
                    yield inner, name


def _parts(node: ast.AST) -> Sequence[ast.expr]:
    """What a formatting expression puts into a text; nothing for any other node."""
    match node:
        case ast.JoinedStr():
            return [value.value for value in node.values if isinstance(value, ast.FormattedValue)]
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            right = node.right
            return [node.left, *(right.elts if isinstance(right, ast.Tuple) else [right])]
        case ast.AugAssign(op=ast.Add() | ast.Mod()):
            return [node.value]
        case ast.Call(func=ast.Attribute(attr="format" | "join" | "substitute" | "safe_substitute")):
            first = node.args[0] if node.args else None
            listed = first.elts if isinstance(first, ast.List | ast.Tuple) else node.args
            return [*listed, *(keyword.value for keyword in node.keywords)]
        case _:
            return []


def _values(module: Module, name: ast.Name) -> Iterator[ast.AST]:
    """Where the name gets its value, `name += ...` included."""
    scope = module.layout.scope(name)
    for binding in scope.lookup(name.id) or []:
        if binding.kind == "value" and binding.node is not None:
            yield binding.node
    for node in own_nodes(*ast.iter_child_nodes(scope.node)):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id == name.id:
            yield node


def _opaque_name(module: Module, node: ast.expr) -> str | None:
    """The name of the opaque value that `node` is, or is read from."""
    while isinstance(node, ast.Subscript | ast.Await):
        node = node.value
    match node:
        case ast.Name():
            if any(_is_opaque(module, annotation) for annotation in _annotations(module, node)):
                return node.id
        case ast.Attribute():
            for origin in module.names.origins(node.value):
                if isinstance(origin.local, ast.ClassDef) and origin.instance:
                    for binding, _ in module.names.attribute(origin.local, node.attr):
                        if binding.kind == "annotation" and _is_opaque(module, binding.node):
                            return node.attr
        case ast.Call(args=[inner]) if module.names.paths(node.func) & {"builtins.str", "builtins.repr", "json.dumps"}:
            return _opaque_name(module, inner)
        case ast.Call(func=ast.Attribute(value=inner, attr="strip" | "lower" | "upper" | "title")):
            return _opaque_name(module, inner)
        case _:
            pass
    return None


def _annotations(module: Module, name: ast.Name) -> Iterator[ast.AST | None]:
    for binding in module.layout.scope(name).lookup(name.id) or []:
        if binding.kind == "annotation":
            yield binding.node
    function: Function | None = module.layout.function(name)
    if isinstance(function, FUNCTIONS):
        yield from (arg.annotation for arg in parameters(function) if arg.arg == name.id)


def _is_opaque(module: Module, annotation: ast.AST | None) -> bool:
    if annotation is None:
        return False
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value.startswith(("opaque[", "stratum.opaque["))
    return any(
        isinstance(node, ast.Subscript) and module.is_stratum(node.value, "opaque") for node in own_nodes(annotation)
    )
