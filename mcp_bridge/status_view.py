"""What an agent is shown when it asks how things stand: one plan, or the list of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, Field

from stratum.actors.journal_records import Run
from stratum.mcp_bridge.run_view import IN_BRIEF, RunView


class ListedPlan(BaseModel):
    """One of the project's plans."""

    plan: str = Field(description="Its id.")
    goal: str = Field(description="What it is for.")
    state: str = Field(description="Where it stands; interrupted: stratum_execute goes on with it.")
    started_at: str = Field(description="When it was proposed: UTC, ISO 8601.")


class StatusView(BaseModel):
    """One plan in full, or the list of them."""

    plans: list[ListedPlan] = Field(description="The project's latest plans, newest first; empty if one was asked for.")
    run: Annotated[RunView | None, IN_BRIEF] = Field(
        description="The plan that was asked for, as stratum_execute answers, with every step."
    )


def status_view(runs: Iterable[Run]) -> StatusView:
    """The plans among a project's runs."""
    return StatusView(plans=[_listed(run) for run in runs if run.target == "plan"], run=None)


def _listed(run: Run) -> ListedPlan:
    started_at = datetime.fromtimestamp(run.started_at / 1000, UTC).isoformat(timespec="seconds")
    return ListedPlan(plan=run.run, goal=run.name, state=run.state, started_at=started_at)
