"""stratum_rollback: the work tree as it was after a step."""

from __future__ import annotations

from typing import Annotated, Final

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from stratum.mcp_bridge.caller import caller
from stratum.mcp_bridge.tool import Call, PlanId, StepId, answer, bridge_of

MAX_FILES: Final = 500


class RollbackView(BaseModel):
    """What was restored."""

    plan: str = Field(description="The plan's id.")
    step: str = Field(description="The step after which the files were as they are now.")
    files: list[str] = Field(description="Files that were written or removed.")
    left_alone: list[str] = Field(description="Files that are not as they were then: ignored ones, other repositories.")
    overwritten: str = Field(description="The git commit that has the files as they were before this.")
    next: str = Field(description="What to do now.")


async def stratum_rollback(
    ctx: Call,
    plan: PlanId,
    step: StepId,
    force: Annotated[
        bool, Field(strict=True, description="Also where files were changed since; the user must want that.")
    ] = False,
) -> Annotated[CallToolResult, RollbackView]:
    """Restore the project's files to what they were after a step, if the user wants that. A run at work is stopped first.

    The user's branches, index and stash are not touched, and a commit keeps the files as they were before.
    """
    plans = await bridge_of(ctx).plans()
    live = plans.at_work(plan)
    if live is not None:
        live.log.past.need_snapshot(step, run=plan)  # before it is stopped: a wrong step must not end a run
        live.cancel("it is rolled back")
        await live.ended.wait()
    restored = await plans.rollback(plan, step, by=str(caller(ctx)), force=force)
    view = RollbackView(
        plan=plan,
        step=step,
        files=list(restored.files[:MAX_FILES]),
        left_alone=list(restored.left_alone[:MAX_FILES]),
        overwritten=restored.overwritten,
        next=f'Tell the user. stratum_execute(plan="{plan}") does again what came after step {step}.',
    )
    return answer(f"{len(restored.files)} files are as they were after step {step}. {view.next}", view)
