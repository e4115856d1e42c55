"""What can be known of an `ensure` lambda while decorating, before it ever runs."""

from __future__ import annotations

import ast
import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, get_args, get_origin

from stratum.contracts.errors import ContractDefinitionError
from stratum.contracts.rendering import record_fields
from stratum.engine.postconditions.lambda_source import LambdaSource

_CHEAP_NODES: Final = (
    ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.IfExp,
    ast.Tuple, ast.List, ast.Set, ast.Dict, ast.NamedExpr, ast.JoinedStr, ast.FormattedValue, ast.Starred, ast.keyword,
    ast.comprehension, ast.expr_context, ast.boolop, ast.unaryop, ast.cmpop,
)  # fmt: skip
_CHEAP_OPERATORS: Final = (ast.Add, ast.Sub, ast.Div, ast.FloorDiv, ast.Mod)
"""`*`, `**` and `<<` are not: on a model's number they can take for ever."""
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_CHEAP_FUNCTIONS: Final = frozenset({
    "abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "isinstance", "len", "list", "max", "min",
    "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
})  # fmt: skip
_CHEAP_METHODS: Final = frozenset({
    "casefold", "count", "endswith", "find", "get", "index", "isalnum", "isalpha", "isdigit", "isdisjoint", "islower",
    "isspace", "issubset", "issuperset", "istitle", "isupper", "items", "keys", "lower", "lstrip", "partition",
    "removeprefix", "removesuffix", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper", "values",
})  # fmt: skip
"""Of str, list, dict and set; counted only on what the lambda was given, since `client.get(url)` may be anything."""


def is_cheap(source: LambdaSource, shadowed: typing.Container[str]) -> bool:
    """Whether the body is certain to be done in well under a millisecond, and so may run on the event loop.

    `shadowed` are builtins' names that mean something else in the lambda.
    """
    own = _names_bound_inside(source.node)
    loops = 0
    for node in ast.walk(source.body):
        if isinstance(node, _COMPREHENSIONS):
            loops += len(node.generators)
        elif isinstance(node, ast.Call):
            if not _is_cheap_call(node, own, shadowed):
                return False
        elif isinstance(node, ast.BinOp):
            if not isinstance(node.op, _CHEAP_OPERATORS):
                return False
        elif not isinstance(node, (*_CHEAP_NODES, *_CHEAP_OPERATORS)):
            return False
    # A loop within a loop is quadratic in what the model wrote.
    return loops <= 1


def check_fields(source: LambdaSource, *, first: str, returns: object, function: str) -> None:
    """Refuse a lambda that reads a field which the returned contract, or one nested in it, does not have.

    Raises:
        ContractDefinitionError: naming the field, and the one that was probably meant.
    """
    _FieldCheck(source, function).visit(source.body, {first: returns})


def check_outcome(source: LambdaSource, *, first: str, returns: object, function: str) -> None:
    """Refuse a lambda whose value is a text or list field: it would be read as the text of violations.

    Raises:
        ContractDefinitionError: naming the expression, with the comparison to write instead.
    """
    check = _FieldCheck(source, function)
    for node, misread in _outcomes(source.body, (str, list)):
        kind = _plain_type(check.type_of(node, {first: returns}))
        if (get_origin(kind) or kind) in misread:
            text = source.text(node)
            raise ContractDefinitionError(
                owner=function,
                field="ensure",
                problem=f"the condition's value can be `{text}` itself, which would be read as the text of a violation",
                fix=f"write `bool({text})` or compare it with something",
            )


class _FieldCheck:
    """Follows declared types through a body: fields, subscripts of lists and dicts, loops over lists."""

    def __init__(self, source: LambdaSource, function: str) -> None:
        self._source = source
        self._function = function

    def visit(self, node: ast.AST, types: Mapping[str, object]) -> None:
        if isinstance(node, _COMPREHENSIONS):
            self._visit_loop(node, types)
            return
        if isinstance(node, ast.Lambda):
            types = {name: kind for name, kind in types.items() if name not in _names_bound_inside(node)}
        elif isinstance(node, ast.Attribute):
            self._check(node, self.type_of(node.value, types))
        for child in ast.iter_child_nodes(node):
            self.visit(child, types)

    def _visit_loop(self, node: _Comprehension, types: Mapping[str, object]) -> None:
        first = node.generators[0]
        # The first iterable belongs to the scope around the loop.
        self.visit(first.iter, types)
        inside = self._inside(node, types)
        for part in (*first.ifs, *ast.iter_child_nodes(node)):
            if part is not first:
                self.visit(part, inside)

    def type_of(self, node: ast.AST, types: Mapping[str, object]) -> object:
        """The declared type of `node`, or `None` where it is not known."""
        if isinstance(node, ast.Name):
            return types.get(node.id)
        if isinstance(node, ast.NamedExpr):
            return self.type_of(node.value, types)
        if isinstance(node, ast.Attribute):
            owner = _plain_type(self.type_of(node.value, types))
            return _field_types(owner).get(node.attr) if isinstance(owner, type) else None
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            return _item_type(self.type_of(node.value, types))
        return None

    def _inside(self, node: _Comprehension, types: Mapping[str, object]) -> Mapping[str, object]:
        inner = dict(types)
        for generator in node.generators:
            iterated = self.type_of(generator.iter, inner)
            for name in (part.id for part in ast.walk(generator.target) if isinstance(part, ast.Name)):
                inner[name] = None
            if isinstance(generator.target, ast.Name) and get_origin(_plain_type(iterated)) in (list, set, frozenset):
                inner[generator.target.id] = _item_type(iterated)
        return inner

    def _check(self, node: ast.Attribute, declared: object) -> None:
        owner = _plain_type(declared)
        if not isinstance(owner, type) or (fields := record_fields(owner)) is None:
            return
        if node.attr in fields or hasattr(owner, node.attr):
            return
        close = difflib.get_close_matches(node.attr, fields, n=1)
        raise ContractDefinitionError(
            owner=self._function,
            field="ensure",
            problem=f"`{self._source.text(node)}`: {owner.__name__} has no field {node.attr!r}",
            fix=f"did you mean {close[0]!r}?" if close else f"its fields are: {', '.join(fields)}",
        )


def _outcomes(node: ast.expr, misread: tuple[type, ...]) -> Iterator[tuple[ast.expr, tuple[type, ...]]]:
    """The parts of `node` that can be its value, each with the types that would be misread there."""
    if isinstance(node, ast.BoolOp):
        *others, last = node.values
        yield from _outcomes(last, misread)
        # An `and` ends early with what is false: '' is still a violation there, but [] reads as none.
        early = misread if isinstance(node.op, ast.Or) else (list,)
        for part in others:
            yield from _outcomes(part, early)
    elif isinstance(node, ast.IfExp):
        yield from _outcomes(node.body, misread)
        yield from _outcomes(node.orelse, misread)
    else:
        yield node, misread


def _plain_type(declared: object) -> object:
    """`declared` without `Annotated` and without `| None`; `None` where it can be several things."""
    while get_origin(declared) is typing.Annotated:
        declared = get_args(declared)[0]
    if get_origin(declared) in (typing.Union, types.UnionType):
        options = [option for option in get_args(declared) if option is not types.NoneType]
        return _plain_type(options[0]) if len(options) == 1 else None
    if get_origin(declared) is Literal:
        return str if all(isinstance(value, str) for value in get_args(declared)) else None
    return declared


def _item_type(declared: object) -> object:
    plain = _plain_type(declared)
    arguments = get_args(plain)
    if get_origin(plain) in (list, set, frozenset) and arguments:
        return arguments[0]
    return arguments[1] if get_origin(plain) is dict and len(arguments) == 2 else None


def _field_types(owner: type) -> Mapping[str, Any]:
    if record_fields(owner) is None:
        return {}
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint may name anything; where it cannot be read, nothing is refused
        return {}


def _is_cheap_call(node: ast.Call, own: typing.Container[str], shadowed: typing.Container[str]) -> bool:
    if isinstance(node.func, ast.Name):
        return node.func.id in _CHEAP_FUNCTIONS and node.func.id not in shadowed and node.func.id not in own
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _CHEAP_METHODS:
        return False
    root: ast.AST = node.func.value
    while isinstance(root, (ast.Attribute, ast.Subscript, ast.Call)):
        root = root.func if isinstance(root, ast.Call) else root.value
    return isinstance(root, ast.Constant) or (isinstance(root, ast.Name) and root.id in own)


def _names_bound_inside(node: ast.Lambda) -> frozenset[str]:
    bound = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    stored = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return frozenset(bound | stored)
