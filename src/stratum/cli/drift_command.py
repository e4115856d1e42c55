"""`stratum drift PATH...`: code that calls models past the runtime."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stratum.cli.exit_codes import FAILED
from stratum.mcp_bridge.drift.changes import NoChanges, changed_lines
from stratum.mcp_bridge.drift.check import ChangedLines, check
from stratum.mcp_bridge.drift.finding import Note
from stratum.mcp_bridge.drift.fix import fix_files
from stratum.mcp_bridge.drift.formats import FORMATS


@click.command("drift")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--diff", "revision", metavar="REV", help="Only lines that are not in this commit, such as HEAD or origin/main."
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True)
@click.option("--fix", is_flag=True, help="Write simple calls as @infer functions first, then check.")
def command(paths: tuple[Path, ...], *, revision: str | None, form: str, fix: bool) -> None:
    """Find Python code that calls a model without Stratum.

    That is manual retries, untyped and unbudgeted calls, answers parsed by hand, swallowed budgets, and opaque values in prompts.

    Checks the current folder unless paths are given. Exits 0 when there is nothing, 1 with findings, 2 for wrong usage;
    what could not be read is told on standard error, and counts as neither.
    """
    chosen = list(paths) or [Path()]
    if fix:
        for fixed in fix_files(chosen, changed=_changed(chosen, revision)):
            click.echo(_told(fixed), err=True)
    drift = check(chosen, changed=_changed(chosen, revision))
    for note in drift.notes:
        click.echo(_told(note), err=True)
    click.echo(FORMATS[form](drift))
    if drift.findings:
        sys.exit(FAILED)


def _changed(paths: list[Path], revision: str | None) -> ChangedLines | None:
    if revision is None:
        return None
    first = paths[0]
    try:
        return changed_lines(first if first.is_dir() else first.parent, revision)
    except NoChanges as error:
        raise click.UsageError(str(error)) from error


def _told(note: Note) -> str:
    where = f"{note.path}:{note.line}" if note.line else note.path
    return f"{where}: {note.message}"
