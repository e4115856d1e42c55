"""A plan over this repository itself: its linter and its tests as commands, read by the embedded model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from stratum import open_runtime
from stratum.contracts.plans.step_result import CommandResult
from stratum.contracts.plans.text import read_plan
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.plans import open_plans
from stratum.providers import Local

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def forget_snapshots(run: str) -> None:
    """This checkout is somebody's; what was unpacked from an archive has no snapshots."""
    listed = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname)", f"refs/stratum/{run}"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    for ref in listed.stdout.decode().split():
        subprocess.run(["git", "update-ref", "-d", ref], cwd=ROOT, check=True)


async def test_the_repository_is_in_order_as_its_own_plan_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `python` and `ruff` are those that this test runs with.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    approvals = Approvals(ROOT, folder=tmp_path / "state")
    async with (
        open_runtime(provider=Local(), journal=tmp_path / "stratum.db") as runtime,
        open_plans(runtime, workspace=ROOT, approvals=approvals) as plans,
    ):
        plan = read_plan((ROOT / "examples" / "self_check.yaml").read_text())
        draft = await plans.propose(plan, {"folder": "tests/contracts/test_money.py"}, by="a test")
        approvals.approve(draft.digest, by="ada", how="python")
        run = await plans.start(draft.run)
        with trio.fail_after(500):
            verdict = await run.result()
    forget_snapshots(run.id)
    assert run.steps is not None
    values = {step.id: run.steps.values.result(number) for number, step in enumerate(plan.steps)}
    lint, tests = values["lint"], values["tests"]
    assert isinstance(lint, CommandResult) and isinstance(tests, CommandResult)
    assert lint.exit_code == 0, lint.stdout
    assert " passed in " in tests.stdout
    for reading in (values["read_lint"], values["read_tests"]):
        assert reading.state in ("in order", "not in order")
    assert verdict == f"lint {values['read_lint'].state} tests {values['read_tests'].state}\n"
