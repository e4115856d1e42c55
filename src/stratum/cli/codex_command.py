"""`stratum codex install | status | uninstall`: Stratum in Codex, for a user or a project."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from stratum.cli.exit_codes import FAILED
from stratum.mcp_bridge.client_config import server_command, steps_options
from stratum.mcp_bridge.codex.file_changes import FileChange, apply_changes, diff_of
from stratum.mcp_bridge.codex.hooks import HOOKS, MAX_INPUT, run_hook
from stratum.mcp_bridge.codex.installation import (
    MARKET,
    Places,
    install_changes,
    installed_options,
    states,
    uninstall_changes,
)
from stratum.mcp_bridge.identity import NAME

_scope = click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    default="project",
    show_default=True,
    help="This folder's Codex, or all of yours ($CODEX_HOME, ~/.agents).",
)
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group("codex")
def command() -> None:
    """Make Codex plan, execute and be audited through Stratum."""


@command.command()
@_scope
@click.option(
    "--steps",
    "steps",
    multiple=True,
    metavar="PLACE",
    help="file.py or module whose steps the plans may name; repeat it. Default: those installed before.",
)
@click.option("--plugin", is_flag=True, help="Write a plugin and its marketplace instead, for `codex plugin add`.")
@_yes
def install(*, scope: str, steps: tuple[str, ...], plugin: bool, yes: bool) -> None:
    """Register the server, skill, hooks and AGENTS.md block.

    Shows the difference first, and asks.
    """
    places = _places(scope)
    _check_steps(steps, scope=scope)
    options = steps_options(steps) or installed_options(places)
    made = _make(install_changes(places, server_command(options=options), plugin=plugin), yes=yes)
    if plugin:
        click.echo(
            f"then: codex plugin marketplace add {shlex.quote(str(places.market))}\n      codex plugin add {NAME}@{MARKET}"
        )
    elif made:
        click.echo("In Codex, look at the hooks and trust them (/hooks): until then they are skipped.")
        if scope == "project":
            click.echo("Codex reads a project's configuration once you trust the project: start it here and say so.")


@command.command()
@_scope
@_yes
def uninstall(*, scope: str, yes: bool) -> None:
    """Remove what install wrote, and nothing else.

    Shows the difference first, and asks.
    """
    places = _places(scope)
    had_plugin = (places.market / "README.md").is_file()
    if _make(uninstall_changes(places), yes=yes) and had_plugin:
        click.echo(f"then: codex plugin remove {NAME}@{MARKET}\n      codex plugin marketplace remove {MARKET}")


@command.command()
@_scope
def status(*, scope: str) -> None:
    """Show which files are installed and up to date.

    Exits with 1 if something is outdated.
    """
    places = _places(scope)
    found = states(places, server_command(options=installed_options(places)))
    for path, state in found.items():
        click.echo(f"{state:<10} {path}")
    if "outdated" in found.values():
        click.echo("run `stratum codex install` again", err=True)
        sys.exit(FAILED)


@command.command(hidden=True)
@click.argument("event", type=click.Choice(list(HOOKS)))
def hook(event: str) -> None:
    """What Codex runs: one JSON object in, one or nothing out."""
    if answer := run_hook(event, sys.stdin.buffer.read(MAX_INPUT)):
        click.echo(answer)


def _check_steps(steps: Sequence[str], *, scope: str) -> None:
    """Codex starts the server in whatever folder it works in: a file has to be found from there."""
    for file in map(Path, steps):
        if file.suffix == ".py" and not file.is_file():
            raise click.UsageError(f"--steps: no file {file}")
        if file.suffix == ".py" and scope == "user" and not file.is_absolute():
            raise click.UsageError(f"--steps {file}: with --scope user, name a module or the file's whole path")


def _places(scope: str) -> Places:
    home = Path.home()
    named = os.environ.get("CODEX_HOME")
    codex_home = Path(named).absolute() if named else home / ".codex"
    return Places.of("user" if scope == "user" else "project", project=Path.cwd(), home=home, codex_home=codex_home)


def _make(changes: Sequence[FileChange], *, yes: bool) -> bool:
    """Show and make the changes; whether there were any. Ends the command where they are declined."""
    if not changes:
        click.echo("nothing to change")
        return False
    click.echo(diff_of(changes))
    if not yes and not click.confirm("Make these changes?", default=False):
        click.echo("nothing was changed", err=True)
        sys.exit(FAILED)
    apply_changes(changes)
    click.echo(f"{len(changes)} {'file' if len(changes) == 1 else 'files'} changed")
    return True
