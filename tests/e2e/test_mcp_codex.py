"""The real Codex, with a scripted model, drives the real server: a plan, the user's approval, steps, a failing one, the audit."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.e2e.codex import CodexHome, codex_home
from tests.e2e.codex_app_server import approve, decline, open_app_server
from tests.e2e.codex_terminal import open_terminal
from tests.fakes.codex_model import Action, CodexModel, CodexRequest, call, open_codex_model, run, say, turns
from tests.mcp_bridge.agents import PROPOSAL

from stratum.engine.plans.approval.approvals import Approvals
from stratum.mcp_bridge.client_config import client_config
from stratum.mcp_bridge.proposal import FIELDS, STEP

pytestmark = pytest.mark.e2e

MODELS = ["gpt-5.5", "gpt-6.1-sol", "a-model-of-a-test"]
"""Behind a search, in code mode, directly: how Codex shows tools to its models."""
PROJECT_JOURNAL = ".stratum/stratum.db"


class Project:
    """A work tree with its server in Codex's configuration."""

    def __init__(self, tmp_path: Path, model: CodexModel, *, codex_model: str, options: Sequence[str] = ()) -> None:
        self.folder = tmp_path / "project"
        self.folder.mkdir()
        subprocess.run(["git", "init", "-q", self.folder], check=True)
        self.state = tmp_path / "state"
        block = client_config("codex", [sys.executable, "-m", "stratum", "mcp", *options])
        environment = {"STRATUM_STATE_HOME": str(self.state), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        table = "\n".join(f'{name} = "{value}"' for name, value in environment.items())
        more = f'{block}\n\n[mcp_servers.stratum.env]\n{table}\n\n[projects."{self.folder}"]\ntrust_level = "trusted"\n'
        self.home: CodexHome = codex_home(
            tmp_path, model.url, model=codex_model, approval_policy="on-request", more=more
        )

    def approvals(self) -> Approvals:
        return Approvals(self.folder, folder=self.state)

    def states(self) -> list[str]:
        """The states of the plans in the journal."""
        with sqlite3.connect(f"file:{self.folder / PROJECT_JOURNAL}?mode=ro", uri=True) as journal:
            return [state for (state,) in journal.execute("SELECT state FROM runs WHERE target = 'plan'")]


def seen(request: CodexRequest, number: int = -1) -> Any:
    """What a tool answered; in code mode the model is shown all of the answer, else the structured part."""
    answer = request.answer(number)
    return answer.get("structuredContent", answer)


def plan_of(request: CodexRequest) -> str:
    return str(seen(request, 0)["plan"])


def tool(name: str, arguments: Callable[[CodexRequest], Mapping[str, Any]]) -> Action:
    return call(name, lambda request: {"plan": plan_of(request), **arguments(request)}, server="stratum")


def done(result: Any, *, assignment: Callable[[Any], Any]) -> Action:
    """Report what the last answer handed out."""

    def arguments(request: CodexRequest) -> Mapping[str, Any]:
        given = assignment(seen(request))
        return {"step": given["step"], "ticket": given["ticket"], "result": result}

    return tool("stratum_step_done", arguments)


PLAN = call("stratum_plan", PROPOSAL, server="stratum")
EXECUTE = tool("stratum_execute", lambda request: {})
AUDIT = tool("stratum_audit", lambda request: {})
FIRST = done({"files": ["a.py"]}, assignment=lambda answer: answer["assignments"][0])
SECOND_WRONG = done({"files": []}, assignment=lambda answer: answer["run"]["assignments"][0])
SECOND_MENDED = done({"files": ["a.py"]}, assignment=lambda answer: answer["again"])
TASK = "Change the code"


@pytest.mark.parametrize("codex_model", MODELS)
async def test_a_task_goes_from_the_plan_to_the_audit(codex_model: str, tmp_path: Path) -> None:
    script = turns(PLAN, EXECUTE, FIRST, SECOND_WRONG, SECOND_MENDED, AUDIT, say("done"))
    with trio.fail_after(300):
        async with open_codex_model(script) as model:
            project = Project(tmp_path, model, codex_model=codex_model)
            async with open_app_server(project.home, approve) as codex:
                turn = await codex.turn(TASK, project.folder)
                assert await turn.ended() == "completed"

    assert model.failures == []
    (form,) = codex.forms
    assert 'fn: "change_code"' in form["message"]
    rejected, audit = seen(model.requests[-3]), seen(model.requests[-1])
    assert (rejected["accepted"], rejected["run"]) == (False, None)
    assert rejected["again"]["violation"].startswith("Previous attempt failed:\n  - ensure: len(result.files) > 0")
    assert rejected["again"]["inputs"] == {}
    assert audit["text"].splitlines()[1].startswith("Step 2: 2 attempts")
    assert project.states() == ["succeeded"]


@pytest.mark.parametrize("codex_model", MODELS)
async def test_where_codex_cannot_ask_the_user_approves_in_a_terminal(codex_model: str, tmp_path: Path) -> None:
    with trio.fail_after(300):
        async with open_codex_model(turns(say("not yet"))) as model:
            project = Project(tmp_path, model, codex_model=codex_model)

            def execute_once_approved(request: CodexRequest) -> Any:
                project.approvals().approve(seen(request, 0)["digest"], by="ada", how="terminal")
                return EXECUTE(request)

            model.action = turns(
                PLAN, EXECUTE, execute_once_approved, FIRST, SECOND_WRONG, SECOND_MENDED, AUDIT, say("done")
            )
            done = await project.home.run(TASK, project.folder)

    assert model.failures == []
    assert done.said[-1] == "done"
    assert f"stratum approve {seen(model.requests[1], 0)['plan']}" in model.requests[2].outputs[-1]
    assert project.states() == ["succeeded"]


@pytest.mark.parametrize("codex_model", MODELS)
async def test_a_plan_that_its_user_declines_does_not_run(codex_model: str, tmp_path: Path) -> None:
    with trio.fail_after(300):
        async with open_codex_model(turns(PLAN, EXECUTE, say("declined"))) as model:
            project = Project(tmp_path, model, codex_model=codex_model)
            async with open_app_server(project.home, decline) as codex:
                turn = await codex.turn(TASK, project.folder)
                assert await turn.ended() == "completed"

    assert model.failures == []
    assert len(codex.forms) == 1
    assert "The plan is not approved: the user declined" in model.requests[-1].outputs[-1]
    assert project.states() == ["draft"]


@pytest.mark.parametrize("codex_model", MODELS)
async def test_a_budget_that_runs_out_stops_the_plan_and_says_what_is_left(codex_model: str, tmp_path: Path) -> None:
    plan = call("stratum_plan", {**PROPOSAL, "budget": {"ms": 3000}}, server="stratum")

    def late_report(request: CodexRequest) -> Any:
        given = seen(request, 2)["run"]["assignments"][0]
        report = {
            "plan": plan_of(request),
            "step": given["step"],
            "ticket": given["ticket"],
            "result": {"files": ["a"]},
        }
        return call("stratum_step_done", report, server="stratum")(request)

    status = tool("stratum_status", lambda request: {})
    script = turns(plan, EXECUTE, FIRST, run("sleep 4"), late_report, status, say("stopped"))
    with trio.fail_after(300):
        async with open_codex_model(script) as model:
            project = Project(tmp_path, model, codex_model=codex_model)
            async with open_app_server(project.home, approve) as codex:
                turn = await codex.turn(TASK, project.folder)
                assert await turn.ended() == "completed"

    assert model.failures == []
    assert "raise Budget(ms=...)" in model.requests[-2].outputs[-1]
    status = seen(model.requests[-1])["run"]
    assert (status["state"], [step["standing"] for step in status["steps"]]) == ("exhausted", ["done", "cancelled"])
    assert "stratum raise" in status["next"]
    assert project.states() == ["exhausted"]


def kill_server(project: Project) -> None:
    """As sudden as it can be."""
    for process in Path("/proc").iterdir():
        try:
            serves = b"stratum\0mcp" in (process / "cmdline").read_bytes()
            if serves and (process / "cwd").resolve() == project.folder.resolve():
                os.kill(int(process.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue


@pytest.mark.parametrize("codex_model", MODELS)
async def test_a_killed_server_goes_on_where_it_was(codex_model: str, tmp_path: Path) -> None:
    with trio.fail_after(300):
        async with open_codex_model(turns(say("not yet"))) as model:
            project = Project(tmp_path, model, codex_model=codex_model)

            def into_the_void(request: CodexRequest) -> Any:
                kill_server(project)
                return tool("stratum_status", lambda request: {})(request)

            model.action = turns(PLAN, EXECUTE, FIRST, into_the_void, say("it died"))
            async with open_app_server(project.home, approve) as codex:
                assert await (await codex.turn(TASK, project.folder)).ended() == "completed"
            assert project.states() == ["running"]
            plan = seen(model.requests[1], 0)["plan"]

            def second(request: CodexRequest) -> Any:
                given = seen(request, 0)["assignments"][0]
                assert given["step"] == "2"
                report = {"plan": plan, "step": "2", "ticket": given["ticket"], "result": {"files": ["a.py"]}}
                return call("stratum_step_done", report, server="stratum")(request)

            model.action = turns(call("stratum_execute", {"plan": plan}, server="stratum"), second, say("done"))
            async with open_app_server(project.home, decline) as codex:
                assert await (await codex.turn("Go on", project.folder)).ended() == "completed"

    assert model.failures == []
    assert codex.forms == []
    assert project.states() == ["succeeded"]


SLOW = """
import trio
from stratum import compute

@compute
async def slow() -> str:
    await trio.sleep(300)
    return "late"
"""


@pytest.mark.parametrize("codex_model", MODELS)
async def test_an_interrupted_call_stops_the_run_that_it_started_and_no_other(codex_model: str, tmp_path: Path) -> None:
    waiting = call("stratum_plan", {"task": "Wait", "steps": [{"id": "1", "fn": "slow"}]}, server="stratum")
    start = call("stratum_execute", lambda request: {"plan": seen(request)["plan"], "wait_s": 25}, server="stratum")
    script = turns(PLAN, EXECUTE, waiting, start, say("never"))
    with trio.fail_after(300):
        async with open_codex_model(script) as model:
            project = Project(tmp_path, model, codex_model=codex_model, options=("--steps", "slow.py"))
            (project.folder / "slow.py").write_text(SLOW)
            async with open_app_server(project.home, approve) as codex:
                turn = await codex.turn(TASK, project.folder)
                while len(codex.forms) < 2:
                    await trio.sleep(0.1)
                while project.states() != ["running", "running"]:
                    await trio.sleep(0.1)
                await turn.interrupt()
                assert await turn.ended() == "interrupted"
                while "cancelled" not in project.states():
                    await trio.sleep(0.1)
                assert sorted(project.states()) == ["cancelled", "running"]

    assert model.failures == []


CHECK = """
import os, pathlib, time
begun = pathlib.Path("begun")
if not begun.exists():
    begun.write_text(str(os.getpid()))
    time.sleep(300)
"""


@pytest.mark.parametrize("codex_model", MODELS)
async def test_an_interrupted_report_is_taken_back_and_can_be_made_again(codex_model: str, tmp_path: Path) -> None:
    checked = {"id": "1", "fn": "change", "output": "Files", "ensure": {"command": [sys.executable, "check.py"]}}
    plan = call(
        "stratum_plan",
        {"task": "Change it", "contracts": PROPOSAL["contracts"], "steps": [checked]},
        server="stratum",
    )
    with trio.fail_after(300):
        async with open_codex_model(turns(plan, EXECUTE, FIRST, say("never"))) as model:
            project = Project(tmp_path, model, codex_model=codex_model)
            (project.folder / "check.py").write_text(CHECK)
            async with open_app_server(project.home, approve) as codex:
                turn = await codex.turn(TASK, project.folder)
                begun = project.folder / "begun"
                while not (begun.exists() and begun.read_text()):
                    await trio.sleep(0.1)
                await turn.interrupt()
                assert await turn.ended() == "interrupted"
                while is_alive(int(begun.read_text())):
                    await trio.sleep(0.1)
                assert project.states() == ["running"]

                id = seen(model.requests[1], 0)["plan"]
                ticket = seen(model.requests[2], 1)["assignments"][0]["ticket"]
                report = {"plan": id, "step": "1", "ticket": ticket, "result": {"files": ["a.py"]}}
                again = call("stratum_step_done", report, server="stratum")
                model.action = turns(plan, EXECUTE, FIRST, again, say("done"))
                assert await (await codex.next_turn("Go on", turn.thread)).ended() == "completed"

    assert model.failures == []
    assert project.states() == ["succeeded"]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("codex_model", MODELS)
async def test_in_the_terminal_the_user_sees_the_plan_and_chooses(codex_model: str, tmp_path: Path) -> None:
    script = turns(PLAN, EXECUTE, EXECUTE, FIRST, SECOND_WRONG, SECOND_MENDED, AUDIT, say("all is done"))
    with trio.fail_after(300):
        async with open_codex_model(script) as model:
            project = Project(tmp_path, model, codex_model=codex_model)
            async with open_terminal(project.home, project.folder) as terminal:
                await terminal.press(TASK, "enter")
                form = await terminal.shows("enter to submit")
                await terminal.press("enter")
                await terminal.shows("The plan is not approved")
                await terminal.shows("enter to submit")
                assert project.states() == ["draft"]
                await terminal.press("down", "enter")
                await terminal.shows("all is done")

    assert model.failures == []
    assert "Approve this plan?" in form
    assert 'id: "2", fn: "change_code", output: Files, depends_on: ["1"],' in form
    assert "› 1. reject" in form
    assert project.states() == ["succeeded"]


@pytest.mark.parametrize("codex_model", MODELS)
async def test_what_a_plan_may_have_is_told_to_the_model_in_words(codex_model: str, tmp_path: Path) -> None:
    """Codex takes the words out of a schema that is too long for it, and says nothing of that."""
    with trio.fail_after(300):
        async with open_codex_model(turns(say("ready"))) as model:
            project = Project(tmp_path, model, codex_model=codex_model)
            await project.home.run(TASK, project.folder)

    shown = json.dumps(model.requests[0].body)
    for told in descriptions({"properties": {**FIELDS, "step": STEP}}):
        assert json.dumps(told)[1:-1] in shown.replace("\\\\", "\\"), told
    in_full = "Names this hand-out; give it back in stratum_step_done."
    assert shown.count(in_full) == (1 if codex_model == "gpt-6.1-sol" else 0)


def descriptions(schema: Mapping[str, Any]) -> list[str]:
    told = [str(schema["description"])] if "description" in schema else []
    return told + [each for field in schema.get("properties", {}).values() for each in descriptions(field)]
