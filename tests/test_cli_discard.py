"""`stratum plan discard`: a draft that nobody wants ends at the command line, and every command knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from stratum.contracts.plans.text import read_plan
from stratum.engine.plans.approval.approvals import Approvals
from tests.engine.plans.plan_fixtures import open_project
from tests.fakes.command_line import Terminal, call

PLAN = "goal: Think\nsteps: [{id: a, fn: think}]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRATUM_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("STRATUM_JOURNAL", str(tmp_path / "stratum.db"))
    return tmp_path


async def draft(folder: Path, *, begun: bool = False) -> tuple[str, str]:
    """The run, and its digest."""
    async with open_project(folder) as plans:
        status = await plans.propose(read_plan(PLAN), by="agent")
        if begun:
            plans.approvals.approve(status.digest, by="ada", how="page")
            await plans.start(status.run)
        return status.run, status.digest


def test_a_draft_is_discarded_by_the_head_of_its_id_and_listed_as_that(folder: Path) -> None:
    run, _ = trio.run(draft, folder)
    cancelled = call("cancel", run)
    assert cancelled.exit_code == 2
    assert f"not at work (draft); `stratum plan discard {run}` discards it" in cancelled.stderr
    done = call("plan", "discard", run[:6], "--because", "the other one is better")
    assert (done.exit_code, done.stdout) == (0, f"{run}: discarded\n")
    assert call("runs").stdout.split()[:2] == [run, "discarded"]
    status = json.loads(call("status", run, "--watch", "--json").stdout)
    assert status["state"] == "discarded"
    assert status["error"].startswith("discarded by ")
    assert status["error"].endswith(": the other one is better")
    shown = call("plan", "show", run)
    assert "think" in shown.stdout
    assert "the other one is better" in shown.stderr


def test_a_discarded_plan_is_refused_by_every_command_that_would_go_on_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "false")  # nobody is asked to type anything
    run, _ = trio.run(draft, folder)
    call("plan", "discard", run, "--because", "no need")
    for arguments in (["approve"], ["resume"], ["plan", "edit"], ["plan", "discard"]):
        refused = call(*arguments, run)
        assert refused.exit_code == 1, arguments
        assert f"run {run}: it was discarded by " in refused.stderr
        assert ": no need; propose the plan anew" in refused.stderr


def test_the_approval_of_a_discarded_plan_is_taken_back(folder: Path) -> None:
    run, digest = trio.run(draft, folder)
    Approvals(folder).approve(digest, by="ada", how="terminal")
    assert call("plan", "discard", run).stdout == f"{run}: discarded; its approval is taken back\n"
    assert Approvals(folder).find(digest) is None


def test_a_plan_that_is_discarded_while_its_digest_is_typed_is_not_approved(folder: Path) -> None:
    run, digest = trio.run(draft, folder)
    terminal = Terminal("approve", run)
    terminal.expect("first 6 characters")
    call("plan", "discard", run, "--because", "no need")
    terminal.type(digest[:6])
    assert terminal.ended() == 1
    assert ": no need; propose the plan anew" in terminal.said
    assert Approvals(folder).find(digest) is None


def test_what_has_begun_or_is_no_plan_is_not_discarded(folder: Path) -> None:
    run, _ = trio.run(lambda: draft(folder, begun=True))
    refused = call("plan", "discard", run)
    assert refused.exit_code == 1
    assert f"run {run}: it has begun; if it is at work, `stratum cancel {run}` stops it" in refused.stderr
    assert call("runs").stdout.split()[:2] == [run, "interrupted"]
    unknown = call("plan", "discard", "nope")
    assert unknown.exit_code == 2
