"""The Model Context Protocol's own judges: its conformance suite over HTTP, its inspector over stdio."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.node_packages import NODE, installed, node_environment

pytestmark = pytest.mark.e2e

SCENARIOS = [
    "server-initialize",
    "server-session-lifecycle",
    "ping",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-error",
    "tools-call-elicitation",
    "resources-list",
    "resources-read-text",
    "resources-templates-read",
    "sep-2164-resource-not-found",
    "prompts-list",
    "prompts-get-simple",
    "prompts-get-with-args",
    "dns-rebinding-protection",
    "server-sse-multiple-streams",
    "http-header-validation",
    "caching",
    "input-required-result-missing-input-response",
    "input-required-result-tampered-state",
    "input-required-result-unsupported-methods",
    "input-required-result-ignore-extra-params",
    "input-required-result-validate-input",
]
"""All that the server claims. It claims no logging, completion, subscription, sampling, roots or tasks."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    command = [sys.executable, "-m", "tests.e2e.conformance_server", str(tmp_path_factory.mktemp("project"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_conformance_suite_passes_for_what_the_server_claims(scenario: str, url: str, tmp_path: Path) -> None:
    suite = installed("@modelcontextprotocol/conformance", "0.2.0-alpha.12") / "dist" / "index.js"
    command = [NODE, suite, "server", "--url", url, "--scenario", scenario, "-o", tmp_path]
    judged = subprocess.run(command, env=node_environment(), capture_output=True, text=True, timeout=300, check=False)

    assert judged.returncode == 0, judged.stdout
    assert " 0 failed" in judged.stdout


def inspect(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the inspector says of `stratum mcp` in a project."""
    package = installed("@modelcontextprotocol/inspector", "2.12.0")
    launcher = package / json.loads((package / "package.json").read_text())["bin"]["mcp-inspector"]
    command = [NODE, launcher, "--cli", sys.executable, "-m", "stratum", "mcp", *arguments]
    return subprocess.run(
        command, cwd=folder, env=node_environment(), capture_output=True, text=True, timeout=300, check=False
    )


def test_the_inspector_lists_the_tools_and_finds_their_schemas_portable(tmp_path: Path) -> None:
    listed = inspect(tmp_path, "--method", "tools/list", "--strict")

    assert listed.returncode == 0, listed.stderr
    tools: Any = json.loads(listed.stdout)["tools"]
    assert "stratum_audit" in {tool["name"] for tool in tools}


def test_the_inspector_is_told_why_a_call_was_refused(tmp_path: Path) -> None:
    refused = inspect(tmp_path, "--method", "tools/call", "--tool-name", "stratum_audit", "--tool-arg", "plan=nothing")

    assert refused.returncode == 5
    assert "not in this journal" in refused.stdout
