"""How a check is told: for people, for programs, for GitHub's annotations; sarif.py has the fourth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from stratum.contracts.problem import visible
from stratum.mcp_bridge.drift.check import Drift
from stratum.mcp_bridge.drift.finding import Finding
from stratum.mcp_bridge.drift.rules import RULES
from stratum.mcp_bridge.drift.sarif import as_sarif


def as_text(drift: Drift) -> str:
    """A line for each finding, then what to do instead, once for each rule."""
    lines = [
        f"{finding.path}:{finding.line}:{finding.column}: {finding.rule}: {finding.message}"
        for finding in drift.findings
    ]
    rules = dict.fromkeys(finding.rule for finding in drift.findings)
    lines += [f"  {rule}: {RULES[rule].instead}" for rule in rules]
    lines.append(f"{_count(len(drift.findings), 'finding')} in {_count(drift.files, 'file')}")
    return "\n".join(_printable(line) for line in lines)


def as_json(drift: Drift) -> str:
    """The findings and notes as one object."""
    return msgspec.json.format(msgspec.json.encode(drift)).decode()


def as_github(drift: Drift) -> str:
    """Workflow commands: GitHub shows them at the lines of a pull request."""
    return "\n".join(
        [
            *map(_command, drift.findings),
            *(f"::notice file={_property(note.path)}::{_value(note.message)}" for note in drift.notes),
        ]
    )


FORMATS: Final[Mapping[str, Callable[[Drift], str]]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": as_github,
}


def _command(finding: Finding) -> str:
    where = (
        f"file={_property(finding.path)},line={finding.line},endLine={finding.end_line},col={finding.column},"
        f"title={_property(finding.rule)}"
    )
    return f"::warning {where}::{_value(f'{finding.message}. {RULES[finding.rule].instead}')}"


def _value(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _value(text).replace(":", "%3A").replace(",", "%2C")


def _printable(line: str) -> str:
    """A file's name may hold anything, escape sequences too."""
    return line if line.isprintable() else visible(line)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
