"""A file that a command writes, as it was named with `-o`."""

from __future__ import annotations

from pathlib import Path

import click


def write_output(file: Path, content: bytes) -> None:
    """Write it, and say where.

    Raises:
        click.UsageError: it cannot be written.
    """
    try:
        file.write_bytes(content)
    except OSError as error:
        raise click.UsageError(f"cannot write {file}: {error.strerror}; name another file with -o") from error
    click.echo(f"{file}")
