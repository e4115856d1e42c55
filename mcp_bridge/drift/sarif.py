"""SARIF 2.1.0, which code hosts and editors read."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from stratum.mcp_bridge.drift.check import Drift
from stratum.mcp_bridge.drift.finding import Finding, Note
from stratum.mcp_bridge.drift.rules import HELP, RULES

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(drift: Drift) -> str:
    """One run, its rules and results; what could not be checked is a notification of the run."""
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "stratum drift",
                "version": version("stratum-runtime"),
                "informationUri": HELP,
                "rules": [
                    {
                        "id": rule.id,
                        "shortDescription": {"text": rule.summary},
                        "help": {"text": rule.instead},
                        "helpUri": rule.url,
                        "defaultConfiguration": {"level": "warning"},
                    }
                    for rule in RULES.values()
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in drift.findings],
        "invocations": [
            {"executionSuccessful": True, "toolExecutionNotifications": [_notification(note) for note in drift.notes]}
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(finding: Finding) -> dict[str, Any]:
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }
    same = hashlib.sha256(f"{finding.rule}\0{finding.path}\0{finding.message}".encode(errors="replace")).hexdigest()
    return {
        "ruleId": finding.rule,
        "ruleIndex": list(RULES).index(finding.rule),
        "level": "warning",
        "message": {"text": f"{finding.message}. {RULES[finding.rule].instead}"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(finding.path)}, "region": region}}],
        "partialFingerprints": {"place/v1": same},
    }


def _notification(note: Note) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(note.path)}}
    if note.line:
        place["region"] = {"startLine": note.line}
    return {"level": "note", "message": {"text": note.message}, "locations": [{"physicalLocation": place}]}


def _uri(path: str) -> str:
    """Relative to where the check ran; absolute ones as file URIs."""
    quoted = quote(path.encode(errors="surrogateescape"))
    return f"file://{quoted}" if PurePath(path).is_absolute() else quoted
