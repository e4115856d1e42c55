"""`stratum local fetch | list`: the embedded models' weights."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from stratum.cli.download import shown_download
from stratum.engine.local.weights import CATALOGUE, DEFAULT, cached, fetch


@click.group("local")
def command() -> None:
    """List the embedded models, or download one beforehand."""


@command.command("fetch")
@click.argument("name", type=click.Choice(sorted(CATALOGUE)), default=DEFAULT)
def fetch_weights(name: str) -> None:
    """Download NAME's weights and check their digest.

    Does nothing if they are here.
    """

    async def main() -> Path:
        with shown_download(name) as progress:
            return await fetch(name, progress=progress)

    click.echo(trio.run(main))


@command.command("list")
def list_weights() -> None:
    """List them, with size, licence, and which are here."""
    for name, weights in sorted(CATALOGUE.items()):
        here = "here" if cached(name) else "not fetched"
        mark = "*" if name == DEFAULT else " "
        click.echo(f"{mark} {name:<12} {weights.size / 1e6:6.0f} MB  {weights.licence:<12} {here}")
