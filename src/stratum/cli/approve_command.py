"""`stratum approve RUN`: look at a proposed plan, and let it run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stratum.cli.options import journal_option
from stratum.cli.plan_session import approve_at_terminal, compiled_of, how_to_approve, ruling_on
from stratum.cli.reading import find_run, read_plan_history
from stratum.contracts.plans.errors import NotApproved
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.approval.proposal import refuse_discarded, shown_digest


@click.command("approve")
@click.argument("run")
@click.option("--revoke", is_flag=True, help="Take the approval back; what runs already goes on.")
@journal_option
def command(run: str, *, revoke: bool, journal: Path) -> None:
    """Show all that RUN's plan would do, and approve exactly that.

    You approve by typing the first characters of the plan's digest.

    It needs a terminal: a program cannot approve. The approval is kept in your own folder, not in the work tree.
    """
    run = find_run(journal, run)
    past = read_plan_history(journal, run)
    refuse_discarded(run, past)
    digest, approvals = shown_digest(run, past), Approvals(Path.cwd())
    if revoke:
        click.echo(f"{run}: {'no longer approved' if approvals.revoke(digest) else 'it was not approved'}")
        return
    if approvals.find(digest) is None and not sys.stdin.isatty():
        raise NotApproved(run=run, digest=digest, fix=how_to_approve(run, journal))
    compiled, functions = compiled_of(past)
    policy = ruling_on(compiled, functions=functions, journal=journal).said
    approve_at_terminal(run, digest, compiled, inputs=past.inputs, approvals=approvals, journal=journal, policy=policy)
    click.echo(f"{run}: approved, digest {digest[:12]}")
