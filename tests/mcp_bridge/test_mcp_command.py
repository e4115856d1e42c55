from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from stratum.cli import stratum

ELSEWHERE = ["mcp", "--http", "--host", "0.0.0.0", "--port", "0"]


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(stratum, ["mcp", "config", *arguments])
    assert result.exit_code == 0
    return result.output


def test_the_printed_blocks_can_be_read_by_those_they_are_for() -> None:
    command = json.loads(printed())["mcpServers"]["stratum"]
    codex = tomllib.loads(printed("--for", "codex"))["mcp_servers"]["stratum"]

    assert command["args"][-1] == "mcp"
    assert json.loads(printed("--for", "vscode"))["servers"]["stratum"]["type"] == "stdio"
    assert (codex["command"], codex["args"]) == (command["command"], command["args"])
    assert json.loads(printed("--steps", "a.py"))["mcpServers"]["stratum"]["args"][-3:] == ["mcp", "--steps", "a.py"]
    assert codex["required"] is True
    assert codex["tools"]["stratum_execute"]["approval_mode"] == "approve"


def test_codex_passes_on_every_setting_that_the_environment_may_have() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    table = [line.split("|")[2] for line in documented.splitlines() if line.startswith("|")]
    settings = {name for cell in table for name in re.findall(r"`((?:STRATUM|OPENAI)_\w+)`", cell)}
    codex = tomllib.loads(printed("--for", "codex"))["mcp_servers"]["stratum"]

    assert {"OPENAI_API_KEY", "STRATUM_STATE_HOME", "STRATUM_MODEL"} < settings
    # Over HTTP only, where Codex does not start the server.
    assert settings - set(codex["env_vars"]) == {"STRATUM_MCP_TOKEN"}
    assert {"CODEX_HOME", "XDG_STATE_HOME", "HTTPS_PROXY"} < set(codex["env_vars"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--http", "--port", "99999"), "0<=x<=65535"),
        (("--port", "8000"), "for --http"),
        (("--host", "::1"), "for --http"),
    ],
)
def test_what_it_cannot_listen_at_is_refused_before_it_starts(options: tuple[str, ...], told: str) -> None:
    result = CliRunner().invoke(stratum, ["mcp", *options])

    assert result.exit_code == 2
    assert told in result.output


def test_where_other_machines_reach_it_it_does_not_start_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATUM_MCP_TOKEN", raising=False)
    result = CliRunner().invoke(stratum, ELSEWHERE)

    assert result.exit_code == 2
    assert "--token-file" in result.output


def test_a_token_that_could_be_guessed_is_no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATUM_MCP_TOKEN", "secret")
    by_environment = CliRunner().invoke(stratum, ELSEWHERE)
    (tmp_path / "tokens").write_text("# none yet\n")
    by_file = CliRunner().invoke(stratum, [*ELSEWHERE, "--token-file", str(tmp_path / "tokens")])

    assert (by_environment.exit_code, by_file.exit_code) == (1, 1)
    assert "at least 20 characters" in by_environment.output
    assert "there is no token" in by_file.output
    assert "secret" not in by_environment.output
