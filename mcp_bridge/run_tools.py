"""stratum_execute and stratum_step_done: a run goes on in the server; a call says where it stands."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import trio
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from stratum.mcp_bridge.approval import obtain
from stratum.mcp_bridge.caller import caller
from stratum.mcp_bridge.edits import edits
from stratum.mcp_bridge.report_view import ReportView, report_view
from stratum.mcp_bridge.run_view import RunView, next_call, run_view, summary
from stratum.mcp_bridge.tool import Call, PlanId, StepId, answer, arguments, bridge_of, meta_of

if TYPE_CHECKING:
    from stratum.contracts.plans.status import Verdict
    from stratum.engine.plans.plan_run import PlanRun
    from stratum.engine.plans.plans import Plans

MAX_RESULT: Final = 2**20
MAX_WAIT_S: Final = 25
"""Codex's code mode yields after 30 s."""
_TOGETHER_S: Final = 0.025
"""Steps that become ready within so many seconds of one another are handed out in one answer ..."""
_BEGINNING_TOGETHER_S: Final = 0.002
"""... so few where nothing is at work that others could come of: those that are ready take that long to begin ..."""
_TOGETHER_AT_MOST_S: Final = 0.5
"""... but nobody waits longer than this for more ..."""
_BEGINNING_AT_MOST_S: Final = 5.0
"""... unless they have begun already, and the files are being kept before they are handed out."""

Wait = Annotated[
    float, Field(strict=True, ge=0, le=MAX_WAIT_S, description="Seconds to wait until there is something to do.")
]


async def stratum_execute(
    ctx: Call, plan: PlanId, wait_s: Wait = 20
) -> Annotated[CallToolResult, RunView] | InputRequiredResult:
    """Start an approved plan, or go on with one that stopped. A draft is put to the user for approval first.

    What Stratum can run, it runs. The steps that are yours come back as assignments, those that can be done in parallel together.
    """
    bridge = bridge_of(ctx)
    plans = await bridge.plans()
    first = await obtain(ctx, plans, plan)
    if first is not None:
        return first
    started = plans.at_work(plan) is None
    run = await plans.start(plan)
    try:
        await something_to_do(run, wait_s)
    except trio.Cancelled:
        if started and not bridge.closing.is_set():
            run.cancel("the call that started it was cancelled by its client")
        raise
    status, shown = bridge.told(meta_of(ctx), run.status(), again=True)
    changed = (
        edits(await (await bridge.opened()).runtime.journal.read(plan), client=caller(ctx).client) if started else []
    )
    view = run_view(status, assignments=shown, edited=changed)
    return answer(f"{summary(status)}\n{view.next}", view)


async def stratum_step_done(
    ctx: Call,
    plan: PlanId,
    step: StepId,
    ticket: Annotated[str, Field(max_length=200, description="From the assignment.")],
    result: Annotated[Any, Field(description="What the step brought, as its result_schema says.")] = None,
    gave_up: Annotated[
        str, Field(max_length=2_000, description="Instead of a result: why this attempt came to nothing.")
    ] = "",
    wait_s: Wait = 20,
) -> Annotated[CallToolResult, ReportView]:
    """Report a step that you were handed. It is verified here, by schema, expressions, commands and a judge.

    If it is accepted, your next steps come back; if not, only what to mend.
    """
    bridge = bridge_of(ctx)
    plans = await bridge.plans()
    given = arguments(ctx)
    if bool(gave_up) == ("result" in given):
        raise ToolError("give either the step's result, or in gave_up why there is none")
    body = given.get("result")
    if len(msgspec.json.encode(body)) > MAX_RESULT:
        raise ToolError("the result is longer than 1 MiB; write it to a file and report the file's path")
    run = await running(plans, plan)
    verdict = None
    usage, model = await bridge.spending.measured(meta_of(ctx), ticket)

    async def reported() -> Verdict:
        if gave_up:
            return await run.fail(step, gave_up, ticket=ticket, usage=usage, model=model)
        return await run.report(step, body, ticket=ticket, usage=usage, model=model)

    try:
        with trio.move_on_after(wait_s) as patience, run.asking.awaited(step, patience):
            verdict = await reported()
        if verdict is None and run.judged(step, ticket=ticket):
            verdict = await reported()  # else who has no time to wait would be told for ever to send it again
    except trio.Cancelled:
        if not bridge.closing.is_set():
            run.take_back(step, ticket=ticket)
        raise
    if verdict is not None and verdict.again is None:
        known = bridge.known(plan)
        waiting = any(each.assignment.ticket in known for each in run.assignments.values())
        await something_to_do(run, _TOGETHER_AT_MOST_S if waiting else wait_s, known=known)
    status, shown = bridge.told(meta_of(ctx), run.status())
    view = report_view(status, step, verdict, assignments=shown)
    return answer(f"{summary(status)}\n{view.next}", view)


async def something_to_do(run: PlanRun, wait_s: float, *, known: Container[str] = ()) -> None:
    """Wait until an agent or a person is wanted, or the run has ended; at the most `wait_s`.

    An assignment whose ticket is `known` is nothing new.
    """
    if _wanted(run, known) and not run.beginning:
        return
    with trio.move_on_after(wait_s):
        while run.state == "running" and not _wanted(run, known):
            await run.until_changed(run.version)
    since = trio.current_time()
    while _wanted(run, known) and run.state == "running":
        if trio.current_time() >= since + (_BEGINNING_AT_MOST_S if run.beginning else _TOGETHER_AT_MOST_S):
            break
        with trio.move_on_after(_BEGINNING_TOGETHER_S if run.only_waits else _TOGETHER_S) as quiet:
            await run.until_changed(run.version)
        if quiet.cancelled_caught and not run.beginning:
            break


def _wanted(run: PlanRun, known: Container[str]) -> bool:
    return bool(run.asking) or any(each.assignment.ticket not in known for each in run.assignments.values())


async def running(plans: Plans, plan: str) -> PlanRun:
    """The run at work here.

    Raises:
        ToolError: it is not.
        UnknownRun: there is no such plan.
    """
    run = plans.live(plan)
    if run is not None:
        return run
    status = await plans.status(plan)
    state = status.state
    if state in ("running", "paused"):
        raise ToolError(
            f"plan {plan} is {state}, but not at work here: another process has it, such as the server of another session. Report it "
            f'there, or have the user run `stratum cancel {plan}`; then stratum_execute(plan="{plan}") goes on with it here'
        )
    if state == "discarded":
        raise ToolError(f"plan {plan} was {status.error}. {next_call(status)}")
    raise ToolError(f"plan {plan} is {state} and not at work here. {next_call(status)}")
