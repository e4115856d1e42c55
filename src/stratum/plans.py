"""Plans in Python: written, checked, shown, approved, run, and gone on with.

`read_plan` and `load_plan` read YAML and JSON, `PlanBuilder` writes a plan in code, `render_plan` shows one. `open_plans` runs them:
it gives a `Plans`, each run in it is a `PlanRun`. `Agents` do the steps that are an agent's, as
`CodexWorker(Codex())` has Codex do them; a `Judge` decides conditions in plain English.
"""

from __future__ import annotations

from stratum.contracts.errors import PlanError, RestoreRefused, WorkspaceError
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.errors import (
    JudgeUnavailable,
    NotApproved,
    PlanFailed,
    RunCancelled,
    StaleTicket,
    StepNotReady,
    StepRejected,
)
from stratum.contracts.plans.plan import Command, ExecutionPlan, Gate, Step
from stratum.contracts.plans.render import render_plan, render_table
from stratum.contracts.plans.status import Assignment, PlanStatus, Question, StepStatus, Verdict
from stratum.contracts.plans.text import load_plan, read_plan
from stratum.engine.plans.approval.approvals import Approval, Approvals
from stratum.engine.plans.builder import PlanBuilder
from stratum.engine.plans.case import Case, Judge, Judged
from stratum.engine.plans.codex_exec import Codex, CodexTurn
from stratum.engine.plans.codex_worker import CodexWorker
from stratum.engine.plans.functions import Functions
from stratum.engine.plans.judges import Attested
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plans import Agents, Plans, open_plans
from stratum.engine.plans.work_trees.snapshots import Restored

__all__ = [
    "Agents",
    "Approval",
    "Approvals",
    "Assignment",
    "Attested",
    "Case",
    "Codex",
    "CodexTurn",
    "CodexWorker",
    "Command",
    "CompiledPlan",
    "ExecutionPlan",
    "Functions",
    "Gate",
    "Judge",
    "JudgeUnavailable",
    "Judged",
    "NotApproved",
    "PlanBuilder",
    "PlanError",
    "PlanFailed",
    "PlanRun",
    "PlanStatus",
    "Plans",
    "Question",
    "RestoreRefused",
    "Restored",
    "RunCancelled",
    "StaleTicket",
    "Step",
    "StepNotReady",
    "StepRejected",
    "StepStatus",
    "Verdict",
    "WorkspaceError",
    "load_plan",
    "open_plans",
    "read_plan",
    "render_plan",
    "render_table",
]
