"""`# stratum: allow[rule] reason`: what the author of the code has decided to keep."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from typing import Final

import msgspec

from stratum.contracts.problem import did_you_mean
from stratum.mcp_bridge.drift.finding import Finding, Note
from stratum.mcp_bridge.drift.rules import RULES
from stratum.mcp_bridge.drift.source import Source

_COMMENT: Final = re.compile(r"#\s*stratum:\s*allow\[([^\]]{0,200})\]\s*(.*)")


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    line: int
    """The line of code that it is about."""
    rules: frozenset[str]


def without_allowed(source: Source, findings: list[Finding]) -> tuple[list[Finding], list[Note]]:
    """The findings that no comment allows, and what is wrong with the comments."""
    if "stratum:" not in source.text:
        return findings, []
    allowed: list[Allowed] = []
    notes: list[Note] = []
    for item in _comments(source):
        (allowed if isinstance(item, Allowed) else notes).append(item)  # type: ignore[arg-type]  # by its kind
    return [finding for finding in findings if not any(_covers(item, finding) for item in allowed)], notes


def _covers(allowed: Allowed, finding: Finding) -> bool:
    return finding.rule in allowed.rules and allowed.line in (finding.line, finding.end_line)


def _comments(source: Source) -> Iterator[Allowed | Note]:
    code_lines: set[int] = set()
    waiting: list[tuple[int, frozenset[str]]] = []
    for token in _tokens(source.text):
        line = token.start[0]
        if token.type == tokenize.COMMENT and (found := _COMMENT.match(token.string)):
            rules = frozenset(name.strip() for name in found[1].split(","))
            yield from _faults(source.path, line, rules, found[2])
            if not found[2]:
                continue
            if line in code_lines:
                yield Allowed(line=line, rules=rules & RULES.keys())
            else:
                waiting.append((line, rules & RULES.keys()))
        elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            # A comment on a line of its own is about the code below it.
            yield from (Allowed(line=line, rules=kept) for _, kept in waiting)
            waiting.clear()
            code_lines.update(range(line, token.end[0] + 1))


def _faults(path: str, line: int, rules: frozenset[str], reason: str) -> Iterator[Note]:
    if not reason:
        yield Note(path=path, line=line, message="allow[...] is not heeded without a reason behind it")
    for name in sorted(rules - RULES.keys()):
        fix = did_you_mean(name, list(RULES), otherwise=f"one of {', '.join(RULES)}")
        yield Note(path=path, line=line, message=f"allow[{name}]: there is no such rule; {fix}")


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    try:
        yield from tokenize.generate_tokens(io.StringIO(text).readline)
    except (tokenize.TokenError, SyntaxError):
        return  # the parser has accepted it: what is left holds no comment
