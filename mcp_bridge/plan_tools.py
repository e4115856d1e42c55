"""stratum_plan and stratum_approve: from what the agent proposes to a plan that the user has approved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import trio
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.text import MAX_BYTES, load_document, load_plan
from stratum.contracts.problem import visible
from stratum.contracts.registry import Registry
from stratum.engine.file_evidence import Unusable, open_inside
from stratum.mcp_bridge.approval import obtain
from stratum.mcp_bridge.caller import caller
from stratum.mcp_bridge.plan_view import PlanView, plan_view
from stratum.mcp_bridge.proposal import document
from stratum.mcp_bridge.run_view import RunInBrief, run_view, summary
from stratum.mcp_bridge.tool import MAX_ID, Call, PlanId, answer, bridge_of, meta_of

MAX_PROPOSAL: Final = 2**20
"""Bytes of what an agent proposes in a call; more is written to a file."""


async def stratum_plan(
    ctx: Call,
    task: Annotated[
        str, Field(min_length=1, max_length=20_000, description="What the user asked for: the plan's goal.")
    ],
    steps: Any = None,
    contracts: Any = None,
    input: Any = None,
    inputs: dict[str, Any] | None = None,
    output: Any = "",
    budget: Any = None,
    fail_fast: Any = None,
    max_in_flight: Any = None,
    plans: Any = None,
    file: Annotated[
        str, Field(max_length=1_000, description="Instead: a plan file in the project, JSON or YAML.")
    ] = "",
    revises: Annotated[str, Field(max_length=MAX_ID, description="The id of the draft that this replaces.")] = "",
) -> Annotated[CallToolResult, PlanView]:
    """Propose a typed plan before touching anything. It is checked as a whole, kept as a draft, and printed for the user.

    Nothing is run. Everything that is wrong is told at once: correct it and call again.
    """
    bridge = bridge_of(ctx)
    project = await bridge.plans()
    registry = project.functions.registry
    if bool(file) == (steps is not None):
        raise ToolError("give either the steps that you propose, or the file that holds the plan")
    parts = document(
        steps=steps,
        contracts=contracts,
        input=input,
        output=output,
        budget=budget,
        fail_fast=fail_fast,
        max_in_flight=max_in_flight,
        plans=plans,
    )
    if file:
        if parts:
            raise ToolError(f"the file holds all of the plan: write {', '.join(parts)} there, and leave that out here")
        compiled = await trio.to_thread.run_sync(_read, bridge.project.workspace, file, registry)
    else:
        compiled = _proposed({"goal": task, **parts}, registry)
    if revises:
        if inputs is not None and inputs != await project.inputs(revises):
            raise ToolError("a draft keeps the inputs that it has; for others, propose the plan without revises")
        status = await project.revise(revises, compiled, by=str(caller(ctx)))
    else:
        status = await project.propose(compiled, inputs, by=str(caller(ctx)), modules=bridge.project.modules)
    # As it is kept and will be approved: with its estimate.
    view = plan_view(status, await project.compiled(status.run))
    count = len(compiled.plan.steps)
    return answer(f"{view.plan} {view.state}: {count} steps. {view.next}", view)


async def stratum_approve(ctx: Call, plan: PlanId) -> Annotated[CallToolResult, RunInBrief] | InputRequiredResult:
    """Ask the user to approve a draft, without starting it; stratum_execute asks as well. You cannot approve it yourself."""
    bridge = bridge_of(ctx)
    plans = await bridge.plans()
    first = await obtain(ctx, plans, plan)
    if first is not None:
        return first
    status, shown = bridge.told(meta_of(ctx), await plans.status(plan))
    view = run_view(status, assignments=shown)
    return answer(f"{summary(status)}\n{view.next}", view)


def _proposed(plan: dict[str, Any], registry: Registry) -> CompiledPlan:
    if len(msgspec.json.encode(plan)) > MAX_PROPOSAL:
        raise ToolError("the plan is longer than 1 MiB; write it to a file in the project and give that")
    return load_document(plan, registry)


def _read(workspace: Path, path: str, registry: Registry) -> CompiledPlan:
    try:
        with os.fdopen(open_inside(workspace, path), "rb") as file:
            text = file.read(max(MAX_BYTES.values()) + 1)
    except Unusable as unusable:
        raise ToolError(f"{visible(path)} {unusable}; give the path of a plan file in the project") from unusable
    return load_plan(text, registry)
