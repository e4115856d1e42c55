"""A server from its start to its end: what it goes on with, what it leaves alone, and what a cancelled call stops."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from tests.mcp_bridge.agents import Agent, Refused, agent, approving, project, started

from stratum import compute
from stratum.engine.plans.case import Case, Judged

begun: list[str] = []


@compute
async def slow(about: str) -> str:
    begun.append(about)
    await trio.sleep_forever()
    return about


SLOW: list[dict[str, Any]] = [{"id": "1", "fn": "slow", "inputs": {"about": "x"}}]


@pytest.fixture(autouse=True)
def nothing_has_begun() -> None:
    begun.clear()


async def state(codex: Agent, plan: str) -> str:
    return str((await codex.call("stratum_status", plan=plan))["run"]["state"])


async def test_a_server_goes_on_with_what_another_left_and_asks_nobody_again(tmp_path: Path) -> None:
    """CASES H39."""
    served = project(tmp_path)
    async with agent(served, approving()) as codex:
        plan, first = await started(codex)
        report = await codex.done(plan, first, {"files": ["a.py"]})
        second = report["run"]["assignments"][0]
    async with agent(served) as codex:
        there = await codex.call("stratum_status", plan=plan, wait_s=20)
        report = await codex.done(plan, second, {"files": ["b.py"]})

    assert there["run"]["state"] == "running"
    assert there["run"]["assignments"] == [second]
    assert report["run"]["state"] == "succeeded"


async def test_two_servers_of_one_project_leave_each_others_runs_alone(tmp_path: Path) -> None:
    served = project(tmp_path)
    async with agent(served, approving()) as one, agent(served, approving()) as other:
        plan, first = await started(one)
        seen = await state(other, plan)
        with pytest.raises(Refused, match="is at work in another process"):
            await other.call("stratum_execute", plan=plan)
        with pytest.raises(Refused, match=f"not at work here: another process has it.*stratum cancel {plan}"):
            await other.done(plan, first, {"files": []})
        theirs, _ = await started(other)
        report = await one.done(plan, first, {"files": ["a.py"]})

    assert seen == "running"
    assert theirs != plan
    assert report["accepted"] is True


async def test_a_call_that_is_cancelled_stops_the_run_that_it_started_and_no_other(tmp_path: Path) -> None:
    async with agent(project(tmp_path, steps=[slow]), approving()) as codex:
        other, _ = await started(codex)
        plan = await codex.plan(steps=SLOW, contracts={})
        async with trio.open_nursery() as nursery:

            async def execute() -> None:
                await codex.call("stratum_execute", plan=plan, wait_s=25)

            nursery.start_soon(execute)
            while not begun:
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        while await state(codex, plan) == "running":
            await trio.testing.wait_all_tasks_blocked()

        assert await state(codex, plan) == "cancelled"
        assert await state(codex, other) == "running"


async def test_a_cancelled_wait_for_a_run_that_others_started_stops_the_wait_alone(tmp_path: Path) -> None:
    async with agent(project(tmp_path, steps=[slow]), approving()) as codex:
        plan = await codex.plan(steps=SLOW, contracts={})
        await codex.call("stratum_execute", plan=plan, wait_s=0)
        for tool in ("stratum_execute", "stratum_status"):
            async with trio.open_nursery() as nursery:

                async def wait(tool: str = tool) -> None:
                    await codex.call(tool, plan=plan, wait_s=25)

                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked(0.05)
                nursery.cancel_scope.cancel()

        assert await state(codex, plan) == "running"


class Deliberate:
    """A judge that decides when it is told to."""

    def __init__(self) -> None:
        self.asked, self.decided = trio.Event(), trio.Event()
        self.stopped = trio.Event()

    async def __call__(self, case: Case) -> Judged:
        self.asked.set()
        try:
            await self.decided.wait()
        except trio.Cancelled:
            self.stopped.set()
            raise
        return Judged(holds=True)


JUDGED: list[dict[str, Any]] = [{"id": "1", "fn": "work", "ensure": {"judge": "it is done well"}}]


async def test_a_report_that_is_cancelled_is_verified_no_further_and_can_be_made_again(tmp_path: Path) -> None:
    judge = Deliberate()
    async with agent(project(tmp_path, judge=judge), approving()) as codex:
        plan = await codex.plan(steps=JUDGED, contracts={})
        (mine,) = (await codex.call("stratum_execute", plan=plan))["assignments"]
        async with trio.open_nursery() as nursery:

            async def report() -> None:
                await codex.done(plan, mine, "bad", wait_s=25)

            nursery.start_soon(report)
            await judge.asked.wait()
            nursery.cancel_scope.cancel()
        await judge.stopped.wait()
        judge.decided.set()
        report_view = await codex.done(plan, mine, "good")
        audit = await codex.call("stratum_audit", plan=plan)

    assert report_view["accepted"] is True
    assert report_view["run"]["state"] == "succeeded"
    assert [(step["attempts"], step["state"]) for step in audit["steps"]] == [(1, "passed")]


async def test_a_report_whose_call_returns_early_is_verified_to_its_end(tmp_path: Path) -> None:
    judge = Deliberate()
    async with agent(project(tmp_path, judge=judge), approving()) as codex:
        plan = await codex.plan(steps=JUDGED, contracts={})
        (mine,) = (await codex.call("stratum_execute", plan=plan))["assignments"]
        early = await codex.done(plan, mine, "good", wait_s=0)
        await judge.asked.wait()
        assert not judge.stopped.is_set()
        judge.decided.set()
        later = await codex.done(plan, mine, "good")

    assert (early["accepted"], later["accepted"]) == (None, True)


async def test_who_has_no_time_to_wait_is_told_the_verdict_once_it_is_there(tmp_path: Path) -> None:
    judge = Deliberate()
    judge.decided.set()
    async with agent(project(tmp_path, judge=judge), approving()) as codex:
        plan = await codex.plan(steps=JUDGED, contracts={})
        (mine,) = (await codex.call("stratum_execute", plan=plan))["assignments"]
        await codex.done(plan, mine, "good", wait_s=0)
        while await state(codex, plan) != "succeeded":
            await trio.testing.wait_all_tasks_blocked()
        again = await codex.done(plan, mine, "good", wait_s=0)

    assert again["accepted"] is True
    assert "again" not in again["next"]


async def test_a_report_for_what_has_succeeded_elsewhere_is_not_told_to_go_on(tmp_path: Path) -> None:
    served = project(tmp_path)
    async with agent(served, approving()) as codex:
        plan = await codex.plan(steps=[{"id": "1", "fn": "work"}], contracts={})
        (mine,) = (await codex.call("stratum_execute", plan=plan))["assignments"]
        await codex.done(plan, mine, "good")
    async with agent(served) as codex:
        with pytest.raises(Refused, match="is succeeded and not at work here. Done. Show the user stratum_audit"):
            await codex.done(plan, mine, "good")


async def test_a_server_that_ends_leaves_the_run_to_the_next(tmp_path: Path) -> None:
    served = project(tmp_path, steps=[slow])
    async with agent(served, approving()) as codex:
        plan = await codex.plan(steps=SLOW, contracts={})
        await codex.call("stratum_execute", plan=plan, wait_s=0)
    async with agent(served) as codex:
        assert await state(codex, plan) == "running"
    assert begun == ["x", "x"]


async def test_a_journal_that_cannot_be_opened_is_opened_once_it_can_be(tmp_path: Path) -> None:
    imported: list[int] = []
    served = replace(project(tmp_path), steps=lambda: imported.append(1) or ())
    served.journal.mkdir(parents=True)  # a folder of this name
    refusals: list[str] = []

    async with agent(served, approving()) as codex:

        async def ask() -> None:
            with pytest.raises(Refused, match="is a folder.*make this call again") as refused:
                await codex.call("stratum_status")
            refusals.append(str(refused.value))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
        await ask()
        served.journal.rmdir()
        listed = await codex.call("stratum_status")

    assert len(refusals) == 6
    assert listed["plans"] == []
    assert imported == [1]


def test_functions_that_cannot_be_imported_are_told_to_the_agent_and_imported_once_they_can_be(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text("from stratum import nothing_of_this_name\n")
    messages = (
        '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
        '"clientInfo":{"name":"test","version":"1"}}}\n'
        '{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stratum_status","arguments":{}}}\n'
    )
    command = [sys.executable, "-m", "stratum", "mcp", "--steps", "steps.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(messages)
        server.stdin.flush()
        server.stdout.readline()
        told = server.stdout.readline()
        (tmp_path / "steps.py").write_text(
            "from stratum import compute\n\n@compute\nasync def half(of: int) -> int: return of // 2\n"
        )
        server.stdin.write(messages.splitlines()[-1] + "\n")
        server.stdin.flush()
        mended = server.stdout.readline()

    assert "--steps steps.py: it cannot be imported" in told and "correct it: the next call imports it again" in told
    assert '"isError":true' in told
    assert '"isError":false' in mended


async def test_the_files_are_restored_to_what_they_were_after_a_step(tmp_path: Path) -> None:
    await trio.run_process(["git", "init", "-q", str(tmp_path)])
    (tmp_path / ".gitignore").write_text(".stratum\n")
    async with agent(project(tmp_path), approving()) as codex:
        plan, first = await started(codex)
        (tmp_path / "code.py").write_text("first\n")
        report = await codex.done(plan, first, {"files": ["code.py"]})
        (tmp_path / "code.py").write_text("second\n")
        await codex.done(plan, report["run"]["assignments"][0], {"files": ["code.py"]})
        with pytest.raises(Refused, match="has no snapshot"):
            await codex.call("stratum_rollback", plan=plan, step="9")
        restored = await codex.call("stratum_rollback", plan=plan, step="1")
        again = await codex.call("stratum_execute", plan=plan)

    assert (tmp_path / "code.py").read_text() == "first\n"
    assert restored["files"] == ["code.py"]
    assert [each["step"] for each in again["assignments"]] == ["2"]
