"""`check`: all rules over files and folders."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from stratum.mcp_bridge.drift.allowance_comments import without_allowed
from stratum.mcp_bridge.drift.call_rules import parsed_by_hand, unbudgeted_calls, untyped_calls
from stratum.mcp_bridge.drift.finding import Finding, Note, Spot
from stratum.mcp_bridge.drift.model_calls import Module
from stratum.mcp_bridge.drift.opaque_rule import opaque_in_prompts
from stratum.mcp_bridge.drift.retry_rule import manual_retries
from stratum.mcp_bridge.drift.rules import (
    MANUAL_RETRY,
    OPAQUE_IN_PROMPT,
    PARSED_BY_HAND,
    SWALLOWED_STOP,
    UNBUDGETED_CALL,
    UNTYPED_CALL,
)
from stratum.mcp_bridge.drift.source import Source, python_files, read_source
from stratum.mcp_bridge.drift.stop_rule import swallowed_stops

_CHECKS: Final[Mapping[str, Callable[[Module], Iterator[Spot]]]] = {
    MANUAL_RETRY: manual_retries,
    UNTYPED_CALL: untyped_calls,
    PARSED_BY_HAND: parsed_by_hand,
    UNBUDGETED_CALL: unbudgeted_calls,
    SWALLOWED_STOP: swallowed_stops,
    OPAQUE_IN_PROMPT: opaque_in_prompts,
}
_MARKS: Final = ("openai", "anthropic", "litellm", "stratum")
"""Without one of these words no rule can find anything."""

ChangedLines = Mapping[Path, Collection[int]]
"""By resolved path: the lines that are new or different."""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found, in order of place."""

    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]
    files: int
    """How many were read."""


def check(paths: Sequence[Path], *, changed: ChangedLines | None = None, root: Path | None = None) -> Drift:
    """Check the files named and below the folders named; with `changed`, only what stands on those lines.

    Paths are shown as they were given, or relative to `root`.
    """
    findings: list[Finding] = []
    notes: list[Note] = []
    files = 0
    for file in python_files(paths):
        lines = None if changed is None else changed.get(file.resolve(), ())
        if lines is not None and not lines:
            continue
        files += 1
        found, remarks = check_file(file, shown=_shown(file, root))
        findings += [finding for finding in found if lines is None or _touches(finding, lines)]
        notes += remarks
    return Drift(findings=tuple(sorted(findings)), notes=tuple(sorted(notes)), files=files)


def check_file(file: Path, *, shown: str) -> tuple[list[Finding], list[Note]]:
    source = read_source(file, shown=shown)
    return ([], [source]) if isinstance(source, Note) else check_source(source)


def check_source(source: Source) -> tuple[list[Finding], list[Note]]:
    """All findings in one file that its comments do not allow."""
    if not any(mark in source.text for mark in _MARKS):
        return [], []
    try:
        module = Module(source.tree)
        found = {_finding(source, rule, spot) for rule, find in _CHECKS.items() for spot in find(module)}
    except RecursionError:
        return [], [Note(path=source.path, message="not checked: nested too deeply")]
    return without_allowed(source, sorted(found))


def _finding(source: Source, rule: str, spot: Spot) -> Finding:
    node = spot.node
    assert isinstance(node, ast.expr | ast.stmt | ast.excepthandler), "rules report nodes that have a place"
    line, column = node.lineno, node.col_offset
    end_line, end_column = node.end_lineno or line, node.end_col_offset or column
    if isinstance(node, ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler):
        # The header is what is shown; the whole body would hide what else is in it.
        end_line, end_column = line, len(_line(source, line).rstrip().encode())
    return Finding(
        path=source.path,
        line=line,
        column=_characters(_line(source, line), column) + 1,
        end_line=end_line,
        end_column=_characters(_line(source, end_line), end_column) + 1,
        rule=rule,
        message=spot.message,
    )


def _line(source: Source, number: int) -> str:
    lines = source.lines
    return lines[number - 1] if number <= len(lines) else ""


def _characters(line: str, offset: int) -> int:
    """The tree counts bytes of UTF-8."""
    return len(line.encode()[:offset].decode(errors="ignore"))


def _touches(finding: Finding, lines: Collection[int]) -> bool:
    return any(number in lines for number in range(finding.line, finding.end_line + 1))


def _shown(file: Path, root: Path | None) -> str:
    if root is not None and file.resolve().is_relative_to(root):
        return file.resolve().relative_to(root).as_posix()
    return file.as_posix()
