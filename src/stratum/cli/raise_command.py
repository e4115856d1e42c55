"""`stratum raise RUN`: new limits for a run, whoever is at work on it or goes on with it; nothing is started here."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import trio

from stratum.actors.page_address import page_of
from stratum.cli.options import journal_option, limit_options, new_limits
from stratum.cli.reading import find_listed, read_records
from stratum.cli.writing import open_own_session, post
from stratum.contracts.messages import RaiseLimits
from stratum.contracts.records import LimitRaised, PlanProposed, Record, ScopeOpened
from stratum.engine.raised_limits import raise_limits_of_stopped
from stratum.engine.report.text import limit_shown


@click.command("raise")
@click.argument("run")
@limit_options
@journal_option
def command(run: str, *, usd: float | None, tokens: int | None, ms: float | None, scope: str, journal: Path) -> None:
    """Give RUN new limits; nothing is started.

    A plan that is at work goes on with them at once; one that has stopped, at the agent's next call or by `stratum resume`.
    It needs a terminal: a program cannot raise a limit.
    """
    listed = find_listed(journal, run)
    records = read_records(journal, listed.run)
    limits = _raised(usd=usd, tokens=tokens, ms=ms, now=_limits_now(records, scope), whose=scope or listed.run)
    of_plan = any(isinstance(record, PlanProposed) for record in records)
    alive = listed.state == "running"
    if alive and (scope or not of_plan):
        what = f"step {scope}" if scope else "a flow"
        raise click.UsageError(
            f"the limits of {what} are raised once the run has stopped: `stratum cancel {listed.run}`"
        )
    _confirm(limits, page_of(journal, run=listed.run))
    by = getpass.getuser()
    if alive:
        post(journal, listed.run, RaiseLimits(by=by, limits=limits))
        click.echo(f"{listed.run}: it goes on with them")
    else:
        trio.run(_record, journal, listed.run, limits, scope, by)
        agents = "the agent's next stratum_execute goes on with them, or, at a terminal, " if of_plan else ""
        click.echo(f"{listed.run}: raised; {agents}`stratum resume {listed.run}`")


def _limits_now(records: Sequence[Record], scope: str) -> dict[str, int]:
    limits: dict[str, int] = {}
    for record in records:
        if isinstance(record, (ScopeOpened, LimitRaised)) and record.scope == scope:
            limits |= record.limits
    return limits


def _raised(
    *, usd: float | None, tokens: int | None, ms: float | None, now: Mapping[str, int], whose: str
) -> dict[str, int]:
    if not now:
        raise click.UsageError(
            f"{whose} has no limits yet: it has not begun, or has none; the error names whose are used up"
        )
    there = ", ".join(f"--{axis} (now {limit_shown(axis, limit)})" for axis, limit in now.items())
    new = new_limits(usd=usd, tokens=tokens, ms=ms).limits
    if not new or not new.keys() <= now.keys():
        raise click.UsageError(f"pass the new limit of what {whose} is limited in: {there}")
    for axis, limit in new.items():
        if limit <= now[axis]:
            raise click.UsageError(
                f"{limit_shown(axis, limit)} is not above {limit_shown(axis, now[axis])}, which is the limit now"
            )
    return new


def _confirm(limits: Mapping[str, int], page: str) -> None:
    shown = ", ".join(limit_shown(axis, limit) for axis, limit in limits.items())
    if not sys.stdin.isatty():
        raise click.UsageError(f"a person raises a limit: run this at a terminal, or do it on {page}")
    click.confirm(f"at most {shown} from now on?", abort=True, err=True)


async def _record(journal: Path, run: str, limits: Mapping[str, int], scope: str, by: str) -> None:
    async with open_own_session(journal) as here:
        await raise_limits_of_stopped(here, run, limits, by=by, scope=scope)
