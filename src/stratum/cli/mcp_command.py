"""`stratum mcp`: the MCP server, over standard input and output or HTTP; `stratum mcp config`: how a client starts it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stratum.actors.locations import state_home
from stratum.cli.options import journal_option, steps_option
from stratum.mcp_bridge.client_config import FORMATS, client_config, server_command, steps_options
from stratum.mcp_bridge.handshake import open_handshake
from stratum.mcp_bridge.wire import claim_stdio

if TYPE_CHECKING:
    from stratum.engine.step import Step
    from stratum.mcp_bridge.bridge import Project


@click.group("mcp", invoke_without_command=True)
@click.option("--http", is_flag=True, help="Serve streamable HTTP instead of standard input and output.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --http: the address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8321,
    show_default=True,
    help="With --http: 0 for any that is free.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="With --http: the tokens that clients may send, one a line. Default: $STRATUM_MCP_TOKEN; else, for this machine alone, "
    "one that is kept in your state directory.",
)
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME[:PORT]", help="Another name that the server has.")
@click.option("--allow-origin", "origins", multiple=True, metavar="URL", help="A web page that may call it.")
@steps_option
@click.option("--model", help="Model for calls that name none; default: $STRATUM_MODEL.")
@journal_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    http: bool,
    modules: tuple[str, ...],
    model: str | None,
    journal: Path,
    **door: Any,
) -> None:
    """Serve this folder's plans and runs to an agent.

    Over standard input and output, until the agent leaves, or with --http.
    """
    if ctx.invoked_subcommand is not None:
        return
    meant = [name for name in door if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if meant and not http:
        raise click.UsageError("--host, --port, --token-file, --allow-host and --allow-origin are for --http: add that")
    if http:
        _serve_http(modules=modules, model=model, journal=journal, **door)
    else:
        _serve_stdio(modules=modules, model=model, journal=journal)


@command.command()
@click.option(
    "--for", "form", type=click.Choice(sorted(FORMATS)), default="json", show_default=True, help="The client."
)
@steps_option
def config(*, form: str, modules: tuple[str, ...]) -> None:
    """Print what to put into a client's configuration.

    For Codex, `stratum codex install` does more.
    """
    click.echo(client_config(form, server_command(options=steps_options(modules))))


def _serve_stdio(*, modules: tuple[str, ...], model: str | None, journal: Path) -> None:
    # The order is the point: the client is answered before the imports that take a second or more.
    wire = claim_stdio()
    opening = open_handshake(wire)
    if opening.line is None:
        _tell_end("the client left without a word")
        return

    from stratum.mcp_bridge.serving import run_on_stdio

    _tell_end(run_on_stdio(_project(modules, model, journal), wire, opening))


def _serve_http(
    *,
    modules: tuple[str, ...],
    model: str | None,
    journal: Path,
    host: str,
    port: int,
    token_file: Path | None,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
) -> None:
    from stratum.mcp_bridge.door import Door, listen
    from stratum.mcp_bridge.http import PATH
    from stratum.mcp_bridge.serving import run_on_http

    tokens, where = _tokens(host, token_file)
    door = Door(host=host, port=port, tokens=tokens, allowed_hosts=hosts, allowed_origins=origins)
    try:
        listening = listen(door)
    except OSError as error:
        raise click.ClickException(f"cannot listen at {host} port {port}: {error}; choose another --port") from error
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"listening at http://{shown}:{listening.getsockname()[1]}{PATH}, token {where}", err=True)
    _tell_end(run_on_http(_project(modules, model, journal), door, listening))


def _tell_end(why: str) -> None:
    """On standard error, which a client keeps as a log: that a server is gone is what one looks for there."""
    click.echo(f"stratum mcp: ended: {why}", err=True)


def _tokens(host: str, file: Path | None) -> tuple[tuple[str, ...], str]:
    """What clients may send, and where a person finds it."""
    from stratum.mcp_bridge.host_check import is_loopback
    from stratum.mcp_bridge.tokens import own_token, read_tokens

    given = os.environ.get("STRATUM_MCP_TOKEN", "")
    try:
        if file is not None:
            return read_tokens(file.read_text(encoding="ascii")), f"from {file}"
        if given:
            return read_tokens(given), "from $STRATUM_MCP_TOKEN"
        if is_loopback(host):
            token, path = own_token(state_home())
            return (token,), f"in {path}"
    except (OSError, ValueError) as error:
        raise click.ClickException(f"the tokens cannot be used: {error}") from error
    raise click.UsageError(
        f"{host} can be reached from other machines: say who may call, with --token-file or $STRATUM_MCP_TOKEN"
    )


def _project(modules: tuple[str, ...], model: str | None, journal: Path) -> Project:
    from stratum.mcp_bridge.bridge import Project

    return Project(
        workspace=Path.cwd(), journal=journal.absolute(), model=model, steps=lambda: _steps(modules), modules=modules
    )


def _steps(modules: tuple[str, ...]) -> list[Step[Any, Any]]:
    from stratum.cli.target import load_module, steps_of
    from stratum.contracts.errors import ContractDefinitionError, described

    steps: list[Step[Any, Any]] = []
    for place in modules:
        try:
            steps += steps_of(load_module(place))
        except Exception as error:
            raise ContractDefinitionError(
                owner=f"--steps {place}",
                problem=f"it cannot be imported: {described(error)}",
                fix="correct it: the next call imports it again",
            ) from error
    return steps
