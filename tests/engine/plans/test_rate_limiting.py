"""SEED.md's example: step 4's postcondition fails, step 3 mends exactly that, and the audit says so, line for line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stratum import Price, open_runtime
from stratum.contracts.audit import audit_line, render_audit
from stratum.contracts.plans.errors import NotApproved
from stratum.contracts.plans.text import read_plan
from stratum.contracts.price import Usage
from stratum.contracts.records import CallFinished
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.case import Case, Judged
from stratum.engine.plans.plans import open_plans
from stratum.engine.providers.scripted import scripted

PLAN = """
goal: Add rate limiting to the API
contracts:
  RouteMap: {type: object, properties: {routes: {type: array, items: {type: string}}}, required: [routes]}
  MiddlewareSpec: {type: object, properties: {algorithm: {type: string}}, required: [algorithm]}
  MiddlewareCode: {type: object, properties: {prefixes: {type: array, items: {type: string}}}, required: [prefixes]}
  TestSuite:
    type: object
    properties: {uncovered: {type: array, items: {type: string}}}
    required: [uncovered]
steps:
- {id: "1", fn: read_routing_config, output: RouteMap}
- {id: "2", fn: design_middleware, output: MiddlewareSpec, depends_on: ["1"]}
- {id: "3", fn: implement_middleware, output: MiddlewareCode, depends_on: ["2"]}
- id: "4"
  fn: write_tests
  output: TestSuite
  depends_on: ["3"]
  ensure: {judge: "all routes covered, health checks excluded"}
  repair: "3"
"""

AUDIT = """\
Step 1: 1 attempt, 0.002 USD
Step 2: 1 attempt, 0.006 USD
Step 3: 2 attempts, 0.011 USD — retry: middleware not applied to /api/v2/ prefix
Step 4: 1 attempt, 0.018 USD
Total: 0.037 USD, 2 retries, all passing"""


class ApiJudge:
    """Says what the tests left out."""

    async def __call__(self, case: Case) -> Judged:
        if case.result["uncovered"]:
            return Judged(holds=False, detail=f"middleware not applied to {case.result['uncovered'][0]} prefix")
        return Judged(holds=True)


def usd(amount: float) -> Usage:
    """At a dollar per thousand output tokens."""
    return Usage(input_tokens=0, output_tokens=round(amount * 1000))


async def test_the_audit_is_the_published_one(tmp_path: Path) -> None:
    model = scripted(price=Price.per_million(input=0, output=1000))
    approvals = Approvals(tmp_path, folder=tmp_path / "state")
    async with (
        open_runtime(provider=model, journal=tmp_path / "stratum.db") as runtime,
        open_plans(runtime, workspace=tmp_path, approvals=approvals, judge=ApiJudge()) as plans,
    ):
        draft = await plans.propose(read_plan(PLAN), by="agent")
        assert draft.state == "draft"
        with pytest.raises(NotApproved, match=f"stratum approve {draft.run}"):
            await plans.start(draft.run)
        approvals.approve(draft.digest, by="ada", how="terminal")
        assert (await plans.status(draft.run)).state == "approved"
        run = await plans.start(draft.run)

        async def done(step: str, result: Any, cost: float) -> Any:
            status = run.status()
            while step not in [assignment.step for assignment in status.assignments]:
                status = await run.changed(status.version)
            (assignment,) = status.assignments
            return assignment, await run.report(step, result, ticket=assignment.ticket, usage=usd(cost), model="gpt-4o")

        await done("1", {"routes": ["/api/v1/", "/api/v2/"]}, 0.002)
        await done("2", {"algorithm": "token bucket"}, 0.006)
        await done("3", {"prefixes": ["/api/v1/"]}, 0.005)
        _, verdict = await done("4", {"uncovered": ["/api/v2/"]}, 0.010)
        assert not verdict.accepted
        assert [violation.for_audit for violation in verdict.violations] == [
            "middleware not applied to /api/v2/ prefix"
        ]
        again, verdict = await done("3", {"prefixes": ["/api/v1/", "/api/v2/"]}, 0.006)
        assert again.message == (
            "Previous attempt failed:\n"
            "  - ensure: all routes covered, health checks excluded (middleware not applied to /api/v2/ prefix)\n"
            "Fix these issues specifically."
        )
        assert (again.attempt, again.inputs, verdict.accepted) == (2, {}, True)
        _, verdict = await done("4", {"uncovered": []}, 0.008)
        assert verdict.accepted
        assert await run.result() == {"uncovered": []}
        finished = {
            record.call: record.trace
            for record in await runtime.journal.read(run.id)
            if isinstance(record, CallFinished)
        }
        lines = [audit_line(finished[step]) for step in "1234"]
        audit = render_audit(lines, extra_retries=sum(trace.reruns for trace in finished.values()))
        assert audit == AUDIT
        assert (await plans.status(run.id)).state == "succeeded"
