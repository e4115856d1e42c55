"""`raise_limits_of_stopped`: new limits for a run that nobody is at work on, for when it is gone on with."""

from __future__ import annotations

from collections.abc import Mapping

from stratum.actors.journal import Journal
from stratum.contracts.errors import RunError
from stratum.contracts.records import LimitRaised
from stratum.engine.history import History


async def raise_limits_of_stopped(
    journal: Journal, run: str, limits: Mapping[str, int], *, by: str, scope: str = ""
) -> None:
    """Record that a person gives it these, which include what it has used: `usd` in picodollars, `tokens`, `ms`.

    `scope` names a step that has a budget of its own; empty: the run's.

    Raises:
        RunError: it has succeeded, or never began.
        RunLocked: somebody is at work on it.
        UnknownRun: not in this journal.
    """
    async with journal.claimed(run):
        past = History(await journal.read(run))
        if past.finished is not None and past.finished.state == "succeeded":
            raise RunError(run=run, problem="it has succeeded", fix="there is nothing left to be paid for")
        raised = LimitRaised(elapsed_ms=past.elapsed_ms, scope=scope, limits=dict(limits), by=by)
        if not past.raise_limits(raised):
            raise RunError(run=run, problem="it has not begun", fix="change the budget of its plan")
        await journal.commit(run, raised)
