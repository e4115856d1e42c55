"""stratum_status: where a plan stands, or which there are; told as well where nothing more can be recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, cast

import trio
from mcp_types import CallToolResult
from pydantic import Field

from stratum.actors.journal_records import Run
from stratum.contracts.errors import JournalUnavailable
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.status import PlanState, PlanStatus
from stratum.engine.plans.plan_view import recorded_status
from stratum.mcp_bridge.bridge import Bridge
from stratum.mcp_bridge.run_tools import Wait, something_to_do
from stratum.mcp_bridge.run_view import run_view, summary
from stratum.mcp_bridge.status_view import StatusView, status_view
from stratum.mcp_bridge.tool import MAX_ID, Call, answer, bridge_of, meta_of

if TYPE_CHECKING:
    from stratum.engine.plans.plans import Plans

_LISTED: Final = 100
"""Runs, of which the plans are listed."""
_LOOKED_AGAIN_S: Final = 1.0
"""How often a run in another process is looked at."""


async def stratum_status(
    ctx: Call,
    plan: Annotated[str, Field(max_length=MAX_ID, description="The plan's id; empty: list this project's plans.")] = "",
    wait_s: Wait = 0,
) -> Annotated[CallToolResult, StatusView]:
    """Where a plan stands, step by step, with all that you are to do; or which plans there are."""
    bridge = bridge_of(ctx)
    try:
        opened = await bridge.opened()
        if not plan:
            return _listed(await opened.runtime.journal.runs(limit=_LISTED))
        return await _status(bridge, opened.plans, plan, wait_s, meta_of(ctx))
    except JournalUnavailable as error:
        if not plan:
            return _listed(await (await bridge.reading(error)).runs(limit=_LISTED))
        return await _as_recorded(bridge, plan, error)


def _listed(runs: Sequence[Run]) -> CallToolResult:
    view = status_view(runs)
    return answer("\n".join(f"{each.plan}  {each.state}  {each.goal}" for each in view.plans) or "no plans yet", view)


async def _status(bridge: Bridge, plans: Plans, plan: str, wait_s: float, meta: object) -> CallToolResult:
    run = plans.at_work(plan)
    if run is not None:
        await something_to_do(run, wait_s)
        status = run.status()
    else:
        status = await _elsewhere(plans, plan, wait_s)
    status, shown = bridge.told(meta, status, again=True)
    view = StatusView(plans=[], run=run_view(status, assignments=shown, every_step=True))
    return answer(f"{summary(status)}\n{view.run.next if view.run else ''}", view)


async def _as_recorded(bridge: Bridge, plan: str, error: JournalUnavailable) -> CallToolResult:
    status = await status_as_recorded(bridge, plan, error)
    view = run_view(status, every_step=True)
    view.next = f"Nothing can be recorded now: {error}. Tell the user; once that is done: {view.next}"
    return answer(f"{summary(status)}\n{view.next}", StatusView(plans=[], run=view))


async def status_as_recorded(bridge: Bridge, plan: str, error: JournalUnavailable) -> PlanStatus:
    """Where a plan stood when the last record found room. Raises as `Bridge.recorded`."""
    past = await bridge.recorded(plan, error)
    compiled = compile_plan(past.plan, (await bridge.functions()).registry)
    state = cast(PlanState, await (await bridge.reading(error)).state(plan))
    return recorded_status(plan, compiled, past, state=state)


async def _elsewhere(plans: Plans, plan: str, wait_s: float) -> PlanStatus:
    """The status of a run that is not at work here, once it differs, or after `wait_s`."""
    before = status = await plans.status(plan)
    with trio.move_on_after(wait_s if before.state in ("running", "paused") else 0):
        while status == before:
            await trio.sleep(_LOOKED_AGAIN_S)
            status = await plans.status(plan)
    return status
