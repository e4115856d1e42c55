"""`stratum drift --fix`: a simple model call written as an `@infer` function, and called where it was.

Simple: an OpenAI call whose prompt, model and limits are written in it and whose text is all that is used. Anything else is
for its author: what it should return, a contract, is not in the code.
"""

from __future__ import annotations

import ast
import os
import tempfile
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from stratum.mcp_bridge.drift.check import ChangedLines, check_source
from stratum.mcp_bridge.drift.finding import Note
from stratum.mcp_bridge.drift.model_calls import Module, SdkCall
from stratum.mcp_bridge.drift.prompt_parts import Prompt, function_name, prompt_of
from stratum.mcp_bridge.drift.scopes import FUNCTIONS
from stratum.mcp_bridge.drift.source import Source, parse_source, python_files, read_source

_OPTIONS: Final = {
    "temperature": "temperature",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
}
_KNOWN: Final = {"model", "messages", "input", "instructions", *_OPTIONS}
_TEXT: Final = {"chat": ".choices[].message.content", "responses": ".output_text"}
_MAX_FIXES: Final = 200


class Edit(msgspec.Struct, frozen=True):
    """New text for a span of the file; offsets in bytes of UTF-8."""

    start: int
    end: int
    text: str


def fix_files(paths: Sequence[Path], *, changed: ChangedLines | None) -> Iterator[Note]:
    """Rewrite what is simple in the files named and below the folders named; says for each call what was done."""
    for file in python_files(paths):
        lines = None if changed is None else changed.get(file.resolve(), ())
        source = read_source(file, shown=file.as_posix())
        if isinstance(source, Note) or source.encoding not in ("utf-8", "utf-8-sig"):
            continue
        try:
            fixed, notes = fix_source(source, partial(_is_among, lines))
            if fixed is not source:
                _write(file.resolve(), fixed)
        except RecursionError:
            continue  # the check says so
        except OSError as error:
            yield Note(path=source.path, message=f"not fixed: {error.strerror or error}")
            continue
        yield from notes


def _is_among(lines: Collection[int] | None, line: int) -> bool:
    return lines is None or line in lines


def fix_source(source: Source, wanted: Callable[[int], bool] = lambda line: True) -> tuple[Source, list[Note]]:
    """`source` with its simple calls rewritten, one after the other; each is kept only if the check is content with it."""
    notes: list[Note] = []
    left: set[str] = set()
    moved = 0
    while len(notes) < _MAX_FIXES:
        module = Module(source.tree)
        call = next(
            (
                call
                for call in module.sdk_calls.values()
                if call.typed is False and _key(call) not in left and wanted(call.node.lineno - moved)
            ),
            None,
        )
        if call is None:
            return source, notes
        left.add(_key(call))
        fixed = _fixed(source, module, call)
        if fixed is not None:
            notes.append(Note(path=source.path, line=call.node.lineno, message=f"written as @infer {fixed[1]}"))
            moved += len(fixed[0].lines) - len(source.lines)
            source = fixed[0]
    return source, notes


def _key(call: SdkCall) -> str:
    """Names a call across rewrites, which move it."""
    return ast.dump(call.node)


def _fixed(source: Source, module: Module, call: SdkCall) -> tuple[Source, str] | None:
    prompt = prompt_of(call.kind, call.keywords) if call.path.startswith("openai.") else None
    options = _options(call)
    used = _uses(module, call)
    if prompt is None or options is None or used is None or not _place_allows(module, call.node):
        return None
    name = function_name(prompt.intent, _names(module))
    call_text = _call_text(source, module, call, prompt, name)
    offsets = _Offsets(source)
    edits = [offsets.replace(node, call_text if at == 0 else text) for at, (node, text) in enumerate(used)]
    edits.append(offsets.before(_top_statement(module, call.node), _definition(prompt, options, name)))
    edits += _imports(source, module, offsets)
    text = _applied(source.text, edits)
    fixed = parse_source(text.encode("utf-8-sig" if source.encoding == "utf-8-sig" else "utf-8"), source.path)
    if isinstance(fixed, Note):
        return None
    before, after = check_source(source)[0], check_source(fixed)[0]
    return (fixed, name) if len(after) < len(before) else None


def _options(call: SdkCall) -> dict[str, ast.expr] | None:
    """The step's own options; `None` where the call has others, or computes them."""
    if (
        call.node.args
        or not call.keywords.keys() <= _KNOWN
        or any(keyword.arg is None for keyword in call.node.keywords)
    ):
        return None
    chosen = {_OPTIONS.get(name, name): value for name, value in call.keywords.items() if name in (*_OPTIONS, "model")}
    return chosen if all(isinstance(value, ast.Constant) for value in chosen.values()) else None


def _uses(module: Module, call: SdkCall) -> list[tuple[ast.expr, str]] | None:
    """The expression that becomes the step's call, then those that become its result; `None`: more than text is used."""
    node: ast.expr = call.node
    if isinstance(awaited := module.layout.parent[node], ast.Await):
        node = awaited
    steps = _TEXT.get(call.kind, "")
    if (whole := _text_above(module, node, steps)) is not None:
        return [(whole, "")]
    assignment = module.layout.parent[node]
    match assignment:
        case ast.Assign(targets=[ast.Name(id=name)]):
            pass
        case _:
            return None
    scope = module.layout.scope(assignment)
    if len(scope.bindings.get(name, ())) != 1:
        return None
    uses: list[tuple[ast.expr, str]] = [(node, "")]
    for other in module.layout.nodes:
        if isinstance(other, ast.Name) and other.id == name and isinstance(other.ctx, ast.Load):
            text = _text_above(module, other, steps)
            if text is None or module.layout.scope(other) is not scope:
                return None
            uses.append((text, name))
    return uses if len(uses) > 1 else None


def _text_above(module: Module, node: ast.expr, steps: str) -> ast.expr | None:
    """The expression above `node` that reads its text."""
    path = ""
    while path != steps:
        parent = module.layout.parent[node]
        match parent:
            case ast.Attribute(attr=attr) if parent.value is node:
                path += f".{attr}"
            case ast.Subscript(slice=ast.Constant(value=0)) if parent.value is node:
                path += "[]"
            case _:
                return None
        if not steps.startswith(path):
            return None
        node = parent
    return node


def _place_allows(module: Module, call: ast.Call) -> bool:
    """Not where a failure is dealt with by hand, in a lambda or class body, or under asyncio."""
    scope = module.layout.scope(call)
    if not isinstance(scope.node, (ast.Module, *FUNCTIONS)):
        return False
    for above in module.layout.above(call):
        if isinstance(above, FUNCTIONS):
            break
        if isinstance(above, ast.Try | ast.TryStar | ast.While | ast.comprehension | ast.With | ast.AsyncWith):
            return False
    if isinstance(module.layout.function(call), ast.AsyncFunctionDef):
        imported = {
            binding.dotted.partition(".")[0] for bound in module.layout.module.bindings.values() for binding in bound
        }
        return "trio" in imported and "asyncio" not in imported
    return True


def _call_text(source: Source, module: Module, call: SdkCall, prompt: Prompt, name: str) -> str:
    arguments = [_argument(source, module, part.value) for part in dict.fromkeys(prompt.parts)]
    is_async = isinstance(module.layout.function(call.node), ast.AsyncFunctionDef)
    return f"{'await ' if is_async else ''}{name}{'' if is_async else '.sync'}({', '.join(arguments)})"


def _argument(source: Source, module: Module, value: ast.expr) -> str:
    """The value as text: an f-string took anything, the step takes a `str`."""
    text = ast.get_source_segment(source.text, value) or ast.unparse(value)
    if isinstance(value, ast.Name):
        for binding in module.layout.scope(value).lookup(value.id) or []:
            if isinstance(binding.node, ast.Name) and binding.kind == "annotation" and binding.node.id == "str":
                return text
    return f"str({text})"


def _definition(prompt: Prompt, options: Mapping[str, ast.expr], name: str) -> str:
    given = [f"intent={_literal(prompt.intent)},"]
    given += [f"context={_literal(prompt.context)},"] if prompt.context else []
    given += [f"{option}={_option(value)}," for option, value in options.items()]
    given += ["budget=Budget(ms=60_000, usd=0.05),  # the most that one call may take: choose"]
    taken = ", ".join(f"{part.name}: str" for part in dict.fromkeys(prompt.parts))
    lines = textwrap.indent("\n".join(given), "    ")
    return f"@infer(\n{lines}\n)\ndef {name}({taken}) -> str: ...  # or a @contract: what the code below needs to know\n\n\n"


def _option(value: ast.expr) -> str:
    return (
        _literal(value.value)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
        else ast.unparse(value)
    )


def _literal(text: str) -> str:
    quoted = repr(text)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in text and "\\'" not in quoted else quoted


def _imports(source: Source, module: Module, offsets: _Offsets) -> list[Edit]:
    """The import of what the definition needs, after those that are there."""
    bound = module.layout.module.bindings
    missing = [
        name
        for name in ("Budget", "infer")
        if not any(binding.dotted == f"stratum.{name}" for binding in bound.get(name, ()))
    ]
    if not missing:
        return []
    last: ast.stmt | None = None
    for statement in source.tree.body:
        is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not isinstance(statement, ast.Import | ast.ImportFrom) and not (is_docstring and last is None):
            break
        last = statement
    line = f"from stratum import {', '.join(missing)}\n"
    return [offsets.after(last, line) if last is not None else Edit(0, 0, line)]


def _names(module: Module) -> set[str]:
    return {name for scope in module.layout.inner.values() for name in scope.bindings} | {
        node.id for node in module.layout.nodes if isinstance(node, ast.Name)
    }


def _top_statement(module: Module, node: ast.AST) -> ast.stmt:
    top = node
    for above in module.layout.above(node):
        if isinstance(above, ast.Module):
            break
        top = above
    assert isinstance(top, ast.stmt), "a module holds statements"
    return top


class _Offsets:
    """Places of the tree as offsets in the file's text as UTF-8."""

    def __init__(self, source: Source) -> None:
        self._starts = [0]
        for line in source.text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line.encode()))

    def replace(self, node: ast.expr, text: str) -> Edit:
        return Edit(
            self._at(node.lineno, node.col_offset), self._at(node.end_lineno or 0, node.end_col_offset or 0), text
        )

    def before(self, statement: ast.stmt, text: str) -> Edit:
        decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
        line = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
        return Edit(self._at(line, 0), self._at(line, 0), text)

    def after(self, statement: ast.stmt, text: str) -> Edit:
        end = min(statement.end_lineno or statement.lineno, len(self._starts) - 1)
        return Edit(self._starts[end], self._starts[end], text)

    def _at(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column


def _applied(text: str, edits: Sequence[Edit]) -> str:
    content = text.encode()
    newline = b"\r\n" if b"\r\n" in content else b"\n"
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        content = content[: edit.start] + edit.text.encode().replace(b"\n", newline) + content[edit.end :]
    return content.decode()


def _write(path: Path, source: Source) -> None:
    """Replace the file at once, keeping its mode: a crash leaves the old one or the new one."""
    mode = path.stat().st_mode
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(source.text.encode(source.encoding))
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
