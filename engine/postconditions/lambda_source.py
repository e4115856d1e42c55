"""`LambdaSource`: the source of a lambda, found from its code object, also among several on one line."""

from __future__ import annotations

import ast
import linecache
import re
from functools import lru_cache
from types import CodeType, FunctionType

Span = tuple[int, int, int, int]
"""First line, first column, last line, last column; columns in UTF-8 bytes, as `ast` and code objects count them."""


class LambdaSource:
    """A lambda's syntax tree and the text of its parts."""

    def __init__(self, node: ast.Lambda, lines: list[str]) -> None:
        self.node = node
        self._first_line = node.lineno
        self._lines = lines[node.lineno - 1 : node.end_lineno]

    @property
    def body(self) -> ast.expr:
        return self.node.body

    def text(self, node: ast.expr) -> str:
        """`node` as it was written; on one line, without comments, where it was written on several."""
        if node.lineno != node.end_lineno:
            return ast.unparse(node)
        line = self._lines[node.lineno - self._first_line].encode()
        return line[node.col_offset : node.end_col_offset].decode()


def lambda_source(function: FunctionType) -> LambdaSource | None:
    """Where `function`, a lambda, was written; `None` where no source is at hand (exec, stdin) or it has changed since."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)
    written = [
        node for node in _lambdas("".join(lines)) if node.lineno == code.co_firstlineno and _same_code(node, code)
    ]
    positions = _positions(code)
    enclosing = [node for node in written if all(_within(position, _span(node)) for position in positions)]
    if not enclosing or (len(enclosing) > 1 and not positions):
        return None
    return LambdaSource(min(enclosing, key=_size), lines)


@lru_cache(maxsize=32)
def _lambdas(source: str) -> tuple[ast.Lambda, ...]:
    """Every lambda of a file; a module is read once for all its conditions."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Lambda))


def _positions(code: CodeType) -> list[Span]:
    # Empty where Python runs with -X no_debug_ranges.
    return [
        (line, column, end_line, end_column)
        for line, end_line, column, end_column in code.co_positions()
        if line is not None
        and end_line is not None
        and column is not None
        and end_column is not None
        # Instructions without a place of their own (RESUME, MAKE_CELL) are recorded as an empty range.
        and (line, column) != (end_line, end_column)
    ]


def _same_code(node: ast.Lambda, code: CodeType) -> bool:
    """Whether tree and code agree on every name and constant: the file may have changed since it was imported."""
    compiled = compile(ast.Expression(node), "<lambda>", "eval")
    candidate = next(const for const in compiled.co_consts if isinstance(const, CodeType))
    return _fingerprint(candidate) == _fingerprint(code)


def _fingerprint(code: CodeType) -> frozenset[object]:
    names = {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
    # In a class body `__x` compiles to `_Class__x`; the detached tree does not know its class.
    found: set[object] = {re.sub(r"^_\w+?(__\w+)$", r"\1", name) for name in names}
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found |= _fingerprint(const)
        else:
            found.add((type(const).__name__, const))
    return frozenset(found)


def _span(node: ast.Lambda) -> Span:
    return node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0


def _within(inner: Span, outer: Span) -> bool:
    return outer[:2] <= inner[:2] and inner[2:] <= outer[2:]


def _size(node: ast.Lambda) -> tuple[int, int]:
    first_line, first_column, last_line, last_column = _span(node)
    return last_line - first_line, last_column - first_column
