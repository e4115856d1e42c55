"""What the tests of plans share: a project with its approvals, and a plan proposed, approved and started in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio

from stratum import open_runtime
from stratum.cluster import Cluster
from stratum.contracts.plans.status import Assignment, PlanStatus, Question, Verdict
from stratum.contracts.plans.text import read_plan
from stratum.contracts.price import Usage
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.case import Judge
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plans import Plans, open_plans
from stratum.engine.providers.scripted import Scripted, scripted
from stratum.engine.step import Step

Wanted = TypeVar("Wanted", Assignment, Question)


@asynccontextmanager
async def open_project(
    folder: Path,
    *,
    provider: Scripted | None = None,
    steps: Iterable[Step[Any, Any]] = (),
    judge: Judge | None = None,
    journal: str | None = "stratum.db",
    cluster: Cluster | None = None,
) -> AsyncGenerator[Plans]:
    """The plans of a project in `folder`."""
    path = None if journal is None else folder / journal
    async with (
        open_runtime(provider=provider or scripted(), journal=path, cluster=cluster) as runtime,
        open_plans(
            runtime,
            functions=Functions(steps),
            workspace=folder,
            approvals=Approvals(folder, folder=folder / "state"),
            judge=judge,
        ) as plans,
    ):
        yield plans


async def started(plans: Plans, text: str, inputs: Mapping[str, Any] | None = None) -> PlanRun:
    """The plan, proposed by an agent, approved and begun."""
    draft = await plans.propose(read_plan(text), inputs, by="agent")
    plans.approvals.approve(draft.digest, by="ada", how="terminal")
    return await plans.start(draft.run)


async def assigned(run: PlanRun, step: str) -> Assignment:
    """The step's assignment, once there is one."""
    return await _of_step(run, step, lambda status: status.assignments)


async def reported(run: PlanRun, step: str, result: Any, *, usage: Usage | None = None, model: str = "") -> Verdict:
    """The verdict on an agent's result for the step."""
    assignment = await assigned(run, step)
    return await run.report(step, result, ticket=assignment.ticket, usage=usage, model=model)


async def asked(run: PlanRun, step: str) -> Question:
    """The gate's question, once it is asked."""
    return await _of_step(run, step, lambda status: status.questions)


def standing(status: PlanStatus) -> dict[str, str]:
    """Where each step stands."""
    return {step.id: step.standing for step in status.steps}


async def _of_step(run: PlanRun, step: str, found: Callable[[PlanStatus], Iterable[Wanted]]) -> Wanted:
    """What a status has for the step, once it has that."""
    with trio.fail_after(60):
        status = run.status()
        while True:
            for each in found(status):
                if each.step == step:
                    return each
            assert not run.ended.is_set(), run.failure
            status = await run.changed(status.version)
