"""stratum_drift: code of the project that calls models past the runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import trio
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from stratum.contracts.problem import visible
from stratum.mcp_bridge.drift.changes import changed_lines
from stratum.mcp_bridge.drift.check import Drift, check
from stratum.mcp_bridge.drift.finding import Finding
from stratum.mcp_bridge.drift.rules import RULES
from stratum.mcp_bridge.tool import Call, answer, bridge_of

MAX_FINDINGS: Final = 200
_PATH: Final = Field(max_length=1_000)


class FindingView(BaseModel):
    """A place where the code goes past the runtime."""

    path: str = Field(description="The file, in the project.")
    line: int = Field(description="From 1.")
    rule: str = Field(description="The rule's id; `# stratum: allow[RULE] reason` at the line allows it.")
    message: str = Field(description="What is there.")
    instead: str = Field(description="What to write instead.")


class DriftView(BaseModel):
    """What was found."""

    findings: list[FindingView] = Field(description="In order of place.")
    total: int = Field(description="How many there are, those not listed included.")
    files: int = Field(description="How many files were read.")
    notes: list[str] = Field(description="What could not be read, and why.")


async def stratum_drift(
    ctx: Call,
    paths: Annotated[
        list[Annotated[str, _PATH]] | None,
        Field(max_length=1_000, description="Python files and folders in the project; all of it if not given."),
    ] = None,
    since: Annotated[
        str, Field(max_length=200, description="Only lines that are not in this git revision, such as HEAD.")
    ] = "",
) -> Annotated[CallToolResult, DriftView]:
    """Find Python code that calls models past Stratum: manual retries, untyped or unbudgeted calls, swallowed budgets."""
    workspace = bridge_of(ctx).project.workspace.resolve()
    chosen = [_inside(workspace, path) for path in paths or ["."]]
    drift = await trio.to_thread.run_sync(_check, workspace, chosen, since, abandon_on_cancel=True)
    view = DriftView(
        findings=[_finding(each) for each in drift.findings[:MAX_FINDINGS]],
        total=len(drift.findings),
        files=drift.files,
        notes=[f"{note.path}: {note.message}" for note in drift.notes[:MAX_FINDINGS]],
    )
    return answer(f"{view.total} findings in {view.files} files.", view)


def _check(workspace: Path, paths: list[Path], since: str) -> Drift:
    return check(paths, changed=changed_lines(workspace, since) if since else None, root=workspace)


def _inside(workspace: Path, path: str) -> Path:
    try:
        real = (workspace / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ToolError(f"{visible(path)} is not there; give the path of a file or folder in the project") from error
    if not real.is_relative_to(workspace):
        raise ToolError(f"{visible(path)} is outside the project; give the path of a file or folder in it")
    return real


def _finding(found: Finding) -> FindingView:
    return FindingView(
        path=found.path,
        line=found.line,
        rule=found.rule,
        message=found.message,
        instead=RULES[found.rule].instead,
    )
