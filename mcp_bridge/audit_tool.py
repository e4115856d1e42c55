"""stratum_audit: what a run did and what it cost, step by step."""

from __future__ import annotations

from typing import Annotated, Final

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from stratum.actors.journal import Journal
from stratum.actors.read_only_journal import ReadOnlyJournal
from stratum.contracts.audit import AuditLine, audit_of, render_audit
from stratum.contracts.doubts import Doubt, doubts_of, render_doubts
from stratum.contracts.errors import JournalUnavailable
from stratum.contracts.money import usd
from stratum.mcp_bridge.bridge import Bridge
from stratum.mcp_bridge.tool import Call, PlanId, answer, bridge_of

MAX_STEPS: Final = 200


class AuditStepView(BaseModel):
    """What one step took."""

    step: str = Field(description="The step's id.")
    attempts: int = Field(description="How often it was tried.")
    usd: float | None = Field(description="What it cost in US dollars; null: not known.")
    retries: list[str] = Field(description="Why each rejected attempt was rejected.")
    state: str = Field(description="passed, failed, cancelled or running.")
    error: str = Field(description="Why it failed; else empty.")
    flags: list[str] = Field(description="What nobody verified: conditions only attested, gates a policy approved.")


class AuditView(BaseModel):
    """What a run did and what it cost."""

    plan: str = Field(description="The run's id.")
    text: str = Field(description="The audit as it is shown to the user.")
    steps: list[AuditStepView] = Field(description="The steps, in the order they ended.")
    total_usd: float = Field(description="All that is booked; where a step's cost is not known, the run took more.")
    in_doubt_usd: float = Field(
        description="Besides: held for requests whose outcome nobody knows; the text says which."
    )


async def stratum_audit(ctx: Call, plan: PlanId) -> Annotated[CallToolResult, AuditView]:
    """What each step of a run took: attempts, cost, and why it was retried. Also of runs that are over or failed."""
    lines, reruns, doubts = await audited(bridge_of(ctx), plan)
    total = render_audit(lines, extra_retries=reruns)
    view = AuditView(
        plan=plan,
        text="\n".join([total, *render_doubts(plan, doubts)]),
        steps=[_step(line) for line in lines[:MAX_STEPS]],
        total_usd=usd(sum(line.picousd or 0 for line in lines)),
        in_doubt_usd=usd(sum(doubt.picousd for doubt in doubts)),
    )
    return answer("\n".join([total.splitlines()[-1], *render_doubts(plan, doubts)[:1]]), view)


async def audited(bridge: Bridge, run: str) -> tuple[list[AuditLine], int, list[Doubt]]:
    """A run's lines, its retries beyond them, and what is in doubt. Raises `UnknownRun`."""
    try:
        return await _audited((await bridge.opened()).runtime.journal, run)
    except JournalUnavailable as error:
        return await _audited(await bridge.reading(error), run)


async def _audited(journal: Journal | ReadOnlyJournal, run: str) -> tuple[list[AuditLine], int, list[Doubt]]:
    records = await journal.read(run)
    lines, reruns = audit_of(records)
    return lines, reruns, doubts_of(records, alive=await journal.state(run) == "running")


def _step(line: AuditLine) -> AuditStepView:
    return AuditStepView(
        step=line.step,
        attempts=line.attempts,
        usd=None if line.picousd is None else usd(line.picousd),
        retries=list(line.retries),
        state=line.state,
        error=line.error,
        flags=list(line.flags),
    )
