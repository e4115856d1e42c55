"""`stratum rollback RUN STEP`: the files as they were after a step."""

from __future__ import annotations

import getpass
from functools import partial
from pathlib import Path

import click
import trio

from stratum.cli.options import journal_option
from stratum.cli.plan_session import functions_in
from stratum.cli.reading import find_run, read_plan_history
from stratum.cli.writing import open_own_session
from stratum.contracts.plans.check import compile_plan
from stratum.engine.plans.work_trees.rolling_back import roll_back
from stratum.engine.plans.work_trees.snapshots import Restored, Snapshots


@click.command("rollback")
@click.argument("run")
@click.argument("step")
@click.option("--force", is_flag=True, help="Also where files were changed since; what they were is kept as a commit.")
@journal_option
def command(run: str, step: str, *, force: bool, journal: Path) -> None:
    """Restore the files to what they were after STEP of RUN.

    `stratum resume` then does again what came later.

    Your index, branches and stash stay as they are. Changes made since the last snapshot are not lost unless you say --force.
    """
    run = find_run(journal, run)
    registry = functions_in(read_plan_history(journal, run).modules).registry

    async def main() -> Restored:
        async with open_own_session(journal) as here:
            return await roll_back(
                here,
                run,
                step,
                snapshots=partial(Snapshots.open, Path.cwd()),
                compiled=lambda plan: compile_plan(plan, registry),
                by=getpass.getuser(),
                force=force,
            )

    restored = trio.run(main)
    for file in restored.files:
        click.echo(f"restored {file}")
    for file in restored.left_alone:
        click.echo(f"left alone {file}", err=True)
    click.echo(f"{run}: as after step {step}; what was there before is commit {restored.overwritten[:12]}")
