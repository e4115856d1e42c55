"""`stratum ui`: the project's page, on this machine alone."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import trio

from stratum.cli.options import journal_option
from stratum.cli.plan_session import functions_in


@click.command("ui")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Default: 8322, or any that is free where that is taken; 0: any."
)
@journal_option
def command(*, port: int | None, journal: Path) -> None:
    """Approve plans, watch runs and answer them in a browser.

    It needs a terminal: whoever has the address that it prints can approve plans, and that is to be a person. Ctrl-C ends it; runs go on.
    """
    if not sys.stderr.isatty():
        raise click.UsageError("start it at a terminal: its address lets whoever reads it approve plans")
    from stratum.mcp_bridge.door import Door, listen
    from stratum.ui.serving import serve_page

    try:
        listening = listen(Door(port=8322 if port is None else port))
    except OSError as error:
        if port is not None:
            raise click.ClickException(f"cannot listen at port {port}: {error}; choose another --port") from error
        listening = listen(Door(port=0))

    def invited(address: str) -> None:
        click.echo(f"open {address}", err=True)

    async def main() -> None:
        await serve_page(Path.cwd(), journal, listening, functions=functions_in, invited=invited)

    trio.run(main)
