"""SEED.md's example, on a real small web project: every edit, every request and every test is real, only the agent is scripted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stratum.contracts.plans.text import load_plan
from stratum.contracts.registry import Registry

EXAMPLE = Path(__file__).parents[1] / "examples" / "ratelimit"

SAID = """\
ExecutionPlan {
  steps: [
    { id: "1", fn: "read_routing_config", output: RouteMap },
    { id: "2", fn: "design_middleware", output: MiddlewareSpec, depends_on: ["1"] },
    { id: "3", fn: "implement_middleware", output: MiddlewareCode, depends_on: ["2"] },
    { id: "4", fn: "write_tests", output: TestSuite, depends_on: ["3"],
      ensure: "all routes covered, health checks excluded" },
  ],
  budget: "~4 tool calls"
}

Step 1: 1 attempt, 0.002 USD
Step 2: 1 attempt, 0.006 USD
Step 3: 2 attempts, 0.011 USD — retry: middleware not applied to /api/v2/ prefix
Step 4: 1 attempt, 0.018 USD
Total: 0.037 USD, 2 retries, all passing
"""


def test_rate_limiting_is_planned_repaired_and_audited_as_published() -> None:
    done = subprocess.run([sys.executable, EXAMPLE / "run.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == SAID
    assert "Ran 5 tests" in done.stderr and done.stderr.rstrip().endswith("OK")


def test_without_the_plan_the_project_limits_nothing() -> None:
    probed = subprocess.run(
        [sys.executable, "probe.py"], cwd=EXAMPLE / "project", capture_output=True, text=True, check=False
    )
    assert probed.returncode == 1
    assert probed.stdout.splitlines() == [
        "middleware not applied to /api/v1/ prefix",
        "middleware not applied to /api/v2/ prefix",
    ]


def test_the_plan_over_this_repository_can_be_shown() -> None:
    plan = load_plan((EXAMPLE.parent / "self_check.yaml").read_text(), Registry.of([]))
    assert [plan.kinds[plan.index[id]] for id in ("lint", "tests", "read_tests")] == ["command", "command", "infer"]
