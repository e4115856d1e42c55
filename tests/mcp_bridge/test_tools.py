"""The tools as an agent uses them: plan, approve, execute, report, mend, audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult
from tests.mcp_bridge.agents import PROPOSAL, Agent, Mode, Refused, User, agent, approving, project
from trio.testing import MockClock

from stratum import compute, open_runtime
from stratum.actors.journal import open_journal
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.approval.proposal import discard_draft
from stratum.engine.plans.case import Case, Judged
from stratum.engine.plans.plans import open_plans
from stratum.engine.providers.scripted import scripted

MODES: list[Mode] = ["auto", "legacy"]


@compute(inline=True)
def count(files: list[str]) -> int:
    return len(files)


async def to_the_end(agent: Agent, plan: str) -> None:
    run = await agent.call("stratum_execute", plan=plan)
    report = await agent.done(plan, run["assignments"][0], {"files": ["a.py"]})
    report = await agent.done(plan, report["run"]["assignments"][0], {"files": ["a.py"]})
    assert report["run"]["state"] == "succeeded"


async def test_a_plan_is_shown_as_it_will_be_approved(tmp_path: Path) -> None:
    """CASES H1."""
    async with agent(project(tmp_path)) as codex:
        plan = await codex.call("stratum_plan", **PROPOSAL, budget={"usd": 0.5})

    assert plan["text"] == (
        "ExecutionPlan {\n"
        "  steps: [\n"
        '    { id: "1", fn: "read_code", output: Files },\n'
        '    { id: "2", fn: "change_code", output: Files, depends_on: ["1"],\n'
        '      ensure: "len(result.files) > 0" },\n'
        "  ],\n"
        '  budget: "~2 tool calls, at most $0.50"\n'
        "}"
    )
    assert (plan["state"], plan["first"], plan["estimate"]) == ("draft", ["1"], "~2 tool calls, at most $0.50")
    assert plan["steps"][1]["depends_on"] == ["1"]
    assert plan["steps"][1]["ensure"] == [{"text": "len(result.files) > 0", "checked_by": "expression"}]
    assert f'stratum_execute(plan="{plan["plan"]}")' in plan["next"]


async def test_the_estimate_of_a_plan_has_the_price_of_what_a_model_does_in_it(tmp_path: Path) -> None:
    steps = [{"id": "1", "kind": "infer", "intent": "Say it", "output": "str", "model": "gpt-5-mini"}]
    async with agent(project(tmp_path)) as codex:
        plan = await codex.call("stratum_plan", task="Say", steps=steps)
        again = await codex.call("stratum_plan", task="Say", steps=steps, revises=plan["plan"])

    assert plan["estimate"].startswith("~1 tool call, estimated $0.")
    assert plan["estimate"] in plan["text"]
    assert again["estimate"] == plan["estimate"]


async def test_an_exhausted_budget_says_that_the_user_can_raise_it_and_how(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    mock_clock.rate = 1
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan(budget={"ms": 50_000})
        run = await codex.call("stratum_execute", plan=plan)
        mock_clock.jump(50)
        with trio.fail_after(60):
            while (await codex.call("stratum_status", plan=plan))["run"]["state"] == "running":
                pass
        with pytest.raises(Refused) as refused:
            await codex.done(plan, run["assignments"][0], {"files": ["a.py"]})
        status = (await codex.call("stratum_status", plan=plan))["run"]
        told = (await codex.call("stratum_status"))["plans"]

    assert f'Only the user can raise it. Stop here: stratum_status(plan="{plan}")' in str(refused.value)
    assert f"`stratum raise {plan} --usd AMOUNT` (or --tokens, --ms) in a terminal" in status["next"]
    assert (status["state"], status["left"]["ms"], status["left"]["usd"]) == ("exhausted", 0, None)
    assert told[0]["state"] == "exhausted"


async def test_a_plan_that_the_user_discarded_is_told_as_that(tmp_path: Path) -> None:
    served, user = project(tmp_path), approving()
    async with agent(served, user) as codex, open_journal(served.journal, session="users") as journal:
        plan = await codex.plan()
        assert served.approvals is not None
        await discard_draft(journal, plan, approvals=served.approvals, by="ada", because="too broad")
        refused: list[str] = []
        for tool, more in (
            ("stratum_approve", {}),
            ("stratum_execute", {}),
            ("stratum_step_done", {"step": "1", "ticket": "1", "result": 1}),
            ("stratum_plan", {**PROPOSAL, "revises": plan}),
        ):
            with pytest.raises(Refused) as caught:
                await codex.call(tool, **({"plan": plan} if "revises" not in more else {}), **more)
            refused.append(str(caught.value))
        status = (await codex.call("stratum_status", plan=plan))["run"]
        listed = await codex.call("stratum_status")

    assert all("was discarded by ada: too broad" in told for told in refused)
    assert user.asked == []
    assert (status["state"], status["error"]) == ("discarded", "discarded by ada: too broad")
    assert "Ask the user what they want instead" in status["next"]
    assert [each["state"] for each in listed["plans"]] == ["discarded"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_plan_that_is_discarded_while_the_user_reads_the_form_is_not_approved(
    tmp_path: Path, mode: Mode
) -> None:
    served, user = project(tmp_path), approving()
    approvals = served.approvals
    assert approvals is not None

    async def discarding(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        await discard_draft(journal, plan, approvals=approvals, by="ada", because="too broad")
        return await user(context, params)

    async with agent(served, discarding, mode=mode) as codex, open_journal(served.journal, session="users") as journal:
        plan = await codex.plan()
        with pytest.raises(Refused, match="was discarded by ada: too broad"):
            await codex.call("stratum_execute", plan=plan)
    assert len(user.asked) == 1
    assert not list(approvals.folder.glob("*.json"))


async def test_a_plan_that_another_server_runs_is_told_as_that(tmp_path: Path) -> None:
    served = project(tmp_path)
    async with agent(served, approving()) as codex, agent(served) as other:
        plan = await codex.plan(budget={"tokens": 100})
        await codex.call("stratum_execute", plan=plan)
        status = (await other.call("stratum_status", plan=plan))["run"]
        here = (await codex.call("stratum_status", plan=plan))["run"]

    assert "step 1 is with the agent there" in status["next"]
    assert "Do step 1" in here["next"]
    assert status["left"]["tokens"] == here["left"]["tokens"] == 100


async def test_everything_that_is_wrong_with_a_plan_is_told_at_once_and_nothing_is_kept(tmp_path: Path) -> None:
    steps = [
        {"id": "1", "fn": "read", "output": "Fils", "ensures": "x"},
        {"id": "2", "fn": "write", "depends_on": ["3"], "ensure": "len(result"},
    ]
    async with agent(project(tmp_path)) as codex:
        with pytest.raises(Refused) as refused:
            await codex.plan(steps=steps)
        listed = await codex.call("stratum_status")

    for told in ("$.steps[0].ensures", "$.steps[1].depends_on[0]", "$.steps[1].ensure[0]"):
        assert told in str(refused.value)
    assert listed["plans"] == []


async def test_a_plan_file_in_the_project_is_read(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("goal: From a file\nsteps:\n- {id: one, fn: look}\n")
    async with agent(project(tmp_path)) as codex:
        plan = await codex.call("stratum_plan", task="Look", file="plan.yaml")
        kept = await codex.client.read_resource(f"stratum://plans/{plan['plan']}")

    assert 'id: "one"' in plan["text"]
    assert "From a file" in kept.contents[0].text  # type: ignore[union-attr]  # it is text


@pytest.mark.parametrize("path", ["../plan.yaml", "/etc/passwd", "link", "missing.yaml", "folder", "a\0b", "pipe"])
async def test_a_plan_file_elsewhere_is_not_read(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "plan.yaml").write_text("steps: []")
    (folder / "link").symlink_to("../plan.yaml")
    async with agent(project(folder)) as codex:
        with pytest.raises(Refused, match="give the path of a plan file in the project"):
            await codex.call("stratum_plan", task="Look", file=path)


@pytest.mark.parametrize("mode", MODES)
async def test_a_plan_runs_once_its_user_has_approved_it(mode: Mode, tmp_path: Path) -> None:
    """CASES H4."""
    user = approving()
    async with agent(project(tmp_path), user, mode=mode) as codex:
        plan = await codex.plan()
        run = await codex.call("stratum_execute", plan=plan)
        (first,) = run["assignments"]
        report = await codex.done(plan, first, {"files": ["a.py"]})
        (second,) = report["run"]["assignments"]
        last = await codex.done(plan, second, {"files": ["a.py", "b.py"]})
        audit = await codex.call("stratum_audit", plan=plan)

    (form,) = user.asked
    assert "title" not in form.requested_schema
    assert form.requested_schema["required"] == ["decision"]
    assert 'fn: "change_code"' in form.message
    assert (first["step"], first["inputs"], first["result_schema"]["required"]) == ("1", {}, ["files"])
    assert report["accepted"] is True
    assert (second["step"], second["inputs"], second["ensure"]) == ("2", {"files": ["a.py"]}, ["len(result.files) > 0"])
    assert last["run"]["state"] == "succeeded"
    assert last["run"]["output"] == {"files": ["a.py", "b.py"]}
    assert audit["text"].splitlines()[0].startswith("Step 1: 1 attempt")


@pytest.mark.parametrize("mode", MODES)
async def test_a_report_that_is_not_accepted_is_answered_with_what_to_mend_and_nothing_else(
    mode: Mode, tmp_path: Path
) -> None:
    """CASES H6."""
    async with agent(project(tmp_path), approving(), mode=mode) as codex:
        plan = await codex.plan()
        run = await codex.call("stratum_execute", plan=plan)
        report = await codex.done(plan, run["assignments"][0], {"files": []})
        report = await codex.done(plan, report["run"]["assignments"][0], {"files": []})
        again = report["again"]
        mended = await codex.done(plan, again, {"files": ["a.py"]})

    assert (report["accepted"], report["run"]) == (False, None)
    assert again["violation"] == (
        "Previous attempt failed:\n  - ensure: len(result.files) > 0 (actual: 0)\nFix these issues specifically."
    )
    assert (again["step"], again["attempt"], again["attempts_left"], again["inputs"]) == ("2", 2, 0, {})
    assert mended["run"]["state"] == "succeeded"


async def test_a_result_that_does_not_fit_its_schema_uses_up_an_attempt(tmp_path: Path) -> None:
    """CASES H5."""
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan()
        run = await codex.call("stratum_execute", plan=plan)
        report = await codex.done(plan, run["assignments"][0], {"files": "a.py"})

    assert report["accepted"] is False
    assert 'schema: files: expected array, got "a.py"' in report["again"]["violation"]
    assert report["again"]["attempt"] == 2


async def test_a_text_that_looks_like_json_is_reported_as_the_text_that_it_is(tmp_path: Path) -> None:
    steps = [{"id": "1", "fn": "write", "output": "str"}]
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan(steps=steps, contracts={})
        run = await codex.call("stratum_execute", plan=plan)
        report = await codex.done(plan, run["assignments"][0], '{"a": [1, 2]}')

    assert report["run"]["output"] == '{"a": [1, 2]}'


async def test_retries_that_are_used_up_end_the_run(tmp_path: Path) -> None:
    """CASES H8."""
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan()
        run = await codex.call("stratum_execute", plan=plan)
        report = await codex.done(plan, run["assignments"][0], {"files": []})
        report = await codex.done(plan, report["run"]["assignments"][0], {"files": []})
        last = report["again"]
        report = await codex.done(plan, last, {"files": []})
        with pytest.raises(Refused, match="step 2"):
            await codex.done(plan, {**last, "ticket": "2:3:another"}, {"files": ["a.py"]})

    assert (report["accepted"], report["again"], report["run"]["state"]) == (False, None, "failed")
    assert [step["id"] for step in report["run"]["steps"]] == ["2"]
    assert "failed for good" in report["next"]


async def test_a_violation_that_an_earlier_step_mends_is_not_told_as_a_failure_until_that_was_tried(
    tmp_path: Path,
) -> None:
    steps = [
        {"id": "1", "fn": "implement", "output": "int"},
        {
            "id": "2",
            "fn": "test",
            "output": "int",
            "depends_on": ["1"],
            "ensure": "result > 1",
            "repair": "1",
            "retries": 1,
        },
    ]
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan(steps=steps, contracts={})
        run = await codex.call("stratum_execute", plan=plan)
        implemented = await codex.done(plan, run["assignments"][0], 1)
        tested = await codex.done(plan, implemented["run"]["assignments"][0], 1)
        (mend,) = tested["run"]["assignments"]
        again = await codex.done(plan, mend, 2)
        last = await codex.done(plan, again["run"]["assignments"][0], 0)

    assert (tested["accepted"], mend["step"]) == (False, "1")
    assert "ensure: result > 1 (actual: 1)" in mend["violation"]
    assert tested["next"].startswith(
        "Step 2 was not accepted: what is wrong is to be mended in an earlier step. Do step 1"
    )
    assert last["next"].startswith("Step 2 has failed for good. ")


async def test_an_agent_may_give_up_on_an_attempt(tmp_path: Path) -> None:
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan()
        run = await codex.call("stratum_execute", plan=plan)
        step, ticket = run["assignments"][0]["step"], run["assignments"][0]["ticket"]
        report = await codex.call("stratum_step_done", plan=plan, step=step, ticket=ticket, gave_up="no such folder")

    assert report["accepted"] is False
    assert "no such folder" in report["again"]["violation"]


async def test_steps_that_can_be_done_in_parallel_are_handed_out_together(tmp_path: Path) -> None:
    steps = [{"id": name, "fn": "look"} for name in ("a", "b", "c")] + [
        {"id": "all", "fn": "join", "depends_on": ["a", "b", "c"]}
    ]
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan(steps=steps)
        run = await codex.call("stratum_execute", plan=plan)
        a, b, c = run["assignments"]
        report = await codex.done(plan, a, 1)
        await codex.done(plan, b, 2)
        last = await codex.done(plan, c, 3)

    assert [each["step"] for each in (a, b, c)] == ["a", "b", "c"]
    assert "in parallel" in run["next"]
    assert (report["run"]["assignments"], report["run"]["in_hand"]) == ([], ["b", "c"])
    assert [each["step"] for each in last["run"]["assignments"]] == ["all"]


async def test_what_the_engine_can_run_it_runs(tmp_path: Path) -> None:
    steps = [
        {"id": "1", "fn": "read_code", "output": "Files"},
        {"id": "2", "fn": "count", "inputs": {"files": "$.steps.1.output.files"}},
    ]
    async with agent(project(tmp_path, steps=[count]), approving()) as codex:
        plan = await codex.plan(steps=steps)
        run = await codex.call("stratum_execute", plan=plan)
        report = await codex.done(plan, run["assignments"][0], {"files": ["a", "b"]})

    assert (report["run"]["state"], report["run"]["output"]) == ("succeeded", 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("action", "content"),
    [
        ("decline", {}),
        ("cancel", {}),
        ("accept", {}),
        ("accept", {"decision": "reject"}),
        ("accept", {"decision": "yes"}),
        ("accept", {"decision": True}),
    ],
)
async def test_without_the_choice_to_approve_nothing_runs(
    mode: Mode, action: Any, content: dict[str, Any], tmp_path: Path
) -> None:
    user = User(action, **content)
    async with agent(project(tmp_path), user, mode=mode) as codex:
        plan = await codex.plan()
        with pytest.raises(Refused, match=f"stratum approve {plan}"):
            await codex.call("stratum_execute", plan=plan)
        status = await codex.call("stratum_status", plan=plan)

    assert len(user.asked) == 1
    assert status["run"]["state"] == "draft"


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_cannot_ask_is_told_how_its_user_approves(mode: Mode, tmp_path: Path) -> None:
    served = project(tmp_path)
    assert served.approvals is not None
    async with agent(served, mode=mode) as codex:
        plan = await codex.call("stratum_plan", **PROPOSAL)
        for tool in ("stratum_approve", "stratum_execute"):
            with pytest.raises(Refused, match=f"stratum approve {plan['plan']}"):
                await codex.call(tool, plan=plan["plan"])
        served.approvals.approve(plan["digest"], by="ada", how="terminal")
        run = await codex.call("stratum_execute", plan=plan["plan"])

    assert run["state"] == "running"


async def test_an_approval_can_be_asked_for_without_starting(tmp_path: Path) -> None:
    user = approving()
    async with agent(project(tmp_path), user) as codex:
        plan = await codex.plan()
        approved = await codex.call("stratum_approve", plan=plan)
        again = await codex.call("stratum_approve", plan=plan)

    assert approved["state"] == again["state"] == "approved"
    assert len(user.asked) == 1


async def test_a_plan_that_was_changed_has_to_be_approved_again(tmp_path: Path) -> None:
    user = approving()
    async with agent(project(tmp_path), user) as codex:
        plan = await codex.plan()
        await codex.call("stratum_approve", plan=plan)
        changed = await codex.call("stratum_plan", **PROPOSAL, budget={"usd": 1}, revises=plan)
        await codex.call("stratum_execute", plan=plan)
        with pytest.raises(Refused, match="it has begun; propose a new plan"):
            await codex.call("stratum_plan", **PROPOSAL, revises=plan)

    assert (changed["plan"], changed["state"]) == (plan, "draft")
    assert len(user.asked) == 2


async def test_an_agent_is_told_what_its_user_changed_in_the_plan(tmp_path: Path) -> None:
    served = project(tmp_path)
    async with agent(served, approving()) as codex:
        plan = await codex.plan()
        async with (
            open_runtime(provider=scripted(), journal=served.journal) as runtime,
            open_plans(runtime, workspace=tmp_path, approvals=served.approvals) as plans,
        ):
            source = await plans.plan(plan)
            steps = (source.steps[0], msgspec.structs.replace(source.steps[1], retries=3))
            await plans.revise(plan, msgspec.structs.replace(source, steps=steps), by="ada")
        run = await codex.call("stratum_execute", plan=plan)
        again = await codex.call("stratum_execute", plan=plan)

    assert run["edited"] == ['~ step "2", retries: 1 -> 3']
    assert again["edited"] == []


async def test_a_plan_too_long_for_a_form_is_approved_in_a_terminal(tmp_path: Path) -> None:
    user = approving()
    steps = [{"id": f"s{number}", "fn": "look"} for number in range(30)]
    async with agent(project(tmp_path), user) as codex:
        plan = await codex.plan(steps=steps)
        with pytest.raises(Refused, match=f"too long .*`stratum approve {plan}`"):
            await codex.call("stratum_execute", plan=plan)

    assert user.asked == []


async def test_the_programs_of_a_plan_are_the_first_that_its_user_sees(tmp_path: Path) -> None:
    user = approving()
    steps = [
        {"id": "1", "fn": "look", "intent": "harmless"},
        {"id": "2", "command": {"argv": ["rm", "-r", "old files"], "env": {"A": "1"}}, "depends_on": ["1"]},
        {"id": "3", "fn": "tidy", "ensure": {"command": ["pytest", "-q"]}, "depends_on": ["2"]},
    ]
    async with agent(project(tmp_path), user) as codex:
        await codex.call("stratum_approve", plan=await codex.plan(steps=steps))

    (form,) = user.asked
    lines = form.message.splitlines()
    assert lines[:4] == ["Approve this plan?", "It runs:", "  rm -r 'old files'", "  pytest -q"]
    assert any("A=1" in line for line in lines)
    assert form.requested_schema["properties"]["decision"]["enum"][0] == "reject"


async def test_the_form_shows_what_the_plan_is_given(tmp_path: Path) -> None:
    user = approving()
    steps = [{"id": "1", "command": ["rm", "-r", "$.input.folder"]}]
    async with agent(project(tmp_path), user) as codex:
        plan = await codex.plan(steps=steps, input={"folder": "str"}, inputs={"folder": "src\u202e"})
        await codex.call("stratum_approve", plan=plan)

    (form,) = user.asked
    assert 'given "folder": "src\\u202e"' in form.message.splitlines()


@pytest.mark.parametrize("mode", MODES)
async def test_a_gate_is_answered_by_the_user(mode: Mode, tmp_path: Path) -> None:
    steps = [
        {"id": "1", "fn": "write"},
        {"id": "ok", "gate": {"question": "Ship it?", "revise": "1"}, "depends_on": ["1"]},
        {"id": "2", "fn": "ship", "depends_on": ["ok"]},
    ]
    user = approving()
    async with agent(project(tmp_path), user, mode=mode) as codex:
        plan = await codex.plan(steps=steps)
        run = await codex.call("stratum_execute", plan=plan)
        report = await codex.done(plan, run["assignments"][0], "text")
        user.content = {"decision": "revise", "comment": "shorter"}
        revised = await codex.call("stratum_gate", plan=plan, step="ok")
        report = await codex.done(plan, revised["assignments"][0], "txt")
        user.content = {"decision": "approve"}
        approved = await codex.call("stratum_gate", plan=plan, step="ok")

    assert report["run"]["questions"][0]["options"] == ["approve", "revise", "kill"]
    assert "stratum_gate" in report["next"]
    assert user.asked[1].message.startswith("Ship it?\n\nwhat step 1 gave: text\n\n(step ok")
    assert "what step 1 gave: txt" in user.asked[2].message
    assert "shorter" in revised["assignments"][0]["violation"]
    assert [each["step"] for each in approved["assignments"]] == ["2"]


async def test_nobody_else_answers_a_gate(tmp_path: Path) -> None:
    """CASES H24."""
    steps = [{"id": "ok", "gate": {"question": "Ship it?"}}, {"id": "2", "fn": "ship", "depends_on": ["ok"]}]
    user = approving()
    async with agent(project(tmp_path), user) as codex:
        plan = await codex.plan(steps=steps)
        await codex.call("stratum_execute", plan=plan)
        with pytest.raises(Refused, match="step ok"):
            await codex.call("stratum_step_done", plan=plan, step="ok", ticket="ok:1:x", result="approve")
        with pytest.raises(Refused, match="no gate of this name"):
            await codex.call("stratum_gate", plan=plan, step="2")
        for nothing in ({}, {"decision": "not now"}, {"decision": "revise"}):
            user.content = nothing
            with pytest.raises(Refused, match="did not answer"):
                await codex.call("stratum_gate", plan=plan, step="ok")
        status = await codex.call("stratum_status", plan=plan)

    assert status["run"]["questions"][0]["step"] == "ok"


async def test_the_status_lists_plans_and_shows_one_in_full(tmp_path: Path) -> None:
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan()
        await to_the_end(codex, plan)
        draft = await codex.plan(task="Another")
        listed = await codex.call("stratum_status")
        one = await codex.call("stratum_status", plan=plan)
        read = await codex.client.read_resource(f"stratum://runs/{plan}")

    assert {(each["plan"], each["state"]) for each in listed["plans"]} == {(plan, "succeeded"), (draft, "draft")}
    assert [step["standing"] for step in one["run"]["steps"]] == ["done", "done"]
    assert '"state":"succeeded"' in read.contents[0].text  # type: ignore[union-attr]  # it is text


async def test_the_prompt_carries_the_task(tmp_path: Path) -> None:
    async with agent(project(tmp_path)) as codex:
        prompt = await codex.client.get_prompt("plan_a_task", {"task": "Add rate limiting"})

    assert prompt.messages[0].content.text.startswith("Add rate limiting\n")  # type: ignore[union-attr]  # it is text


async def test_no_more_is_handed_out_in_an_answer_than_an_agent_reads_and_the_rest_comes_with_the_next(
    tmp_path: Path,
) -> None:
    intent = "x" * 2_000
    steps = [{"id": f"s{number}", "intent": intent, "output": "str"} for number in range(30)]
    async with agent(project(tmp_path), approving()) as codex:
        proposed = await codex.call("stratum_plan", task="Much", steps=steps)
        Approvals(tmp_path, folder=tmp_path.parent / f"{tmp_path.name}-state").approve(
            proposed["digest"], by="ada", how="terminal"
        )
        run = await codex.call("stratum_execute", plan=proposed["plan"])
        told = [each["step"] for each in run["assignments"]]
        assert len(msgspec.json.encode(run["assignments"])) < 20_000
        assert (len(told), run["in_hand"], run["progress"]) == (7, [], {"handed_out": 30})
        to_do, report = list(run["assignments"]), {"run": run}
        while to_do:
            report = await codex.done(proposed["plan"], to_do.pop(0), "done")
            to_do += report["run"]["assignments"]
            told += [each["step"] for each in report["run"]["assignments"]]
    assert told == [step["id"] for step in steps]
    assert report["run"]["state"] == "succeeded"


async def test_a_report_that_a_person_has_to_judge_says_so_at_once_and_whom_to_ask(tmp_path: Path) -> None:
    async def a_person(case: Case) -> Judged:
        return await case.ask()

    step = {"id": "1", "intent": "Write it", "output": "str", "ensure": "it reads well"}
    user = approving()
    async with agent(project(tmp_path, judge=a_person), user) as codex:
        plan = await codex.plan(steps=[step], contracts={})
        run = await codex.call("stratum_execute", plan=plan)
        with trio.fail_after(60):
            for _ in range(2):  # sent again, it is told the same
                report = await codex.done(plan, run["assignments"][0], "x", wait_s=25)
                assert report["accepted"] is None
                assert f'stratum_gate(plan="{plan}", step="1") asks the user' in report["next"]
        answered = await codex.call("stratum_gate", plan=plan, step="1")
        verdict = await codex.done(plan, run["assignments"][0], "x")
    assert answered["state"] == "succeeded"
    assert verdict["accepted"] is True
    assert user.asked[1].message.startswith("Does this hold? it reads well\n\nwhat step 1 reported: x\n\n")


async def test_a_step_with_a_budget_of_its_own_is_handed_out_with_what_is_left_of_it(tmp_path: Path) -> None:
    steps = [
        {"id": "1", "fn": "look", "budget": {"tokens": 500, "ms": 60_000}},
        {"id": "2", "fn": "look", "budget": {"usd": 0.25}},
        {"id": "3", "fn": "look"},
    ]
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan(steps=steps, contracts={}, budget={"tokens": 1000})
        run = await codex.call("stratum_execute", plan=plan)
        with pytest.raises(Refused, match=r"stratum_status\(\) has those of the plans"):
            await codex.call("stratum_status", plan="nothing")

    first, second, third = (each["left"] for each in run["assignments"])
    assert (first["tokens"], first["usd"]) == (500, None)
    assert 0 < first["ms"] <= 60_000
    assert second == {"usd": 0.25, "tokens": None, "ms": None}
    assert third is None
    assert run["left"]["tokens"] == 1000


async def test_a_total_is_the_least_that_it_can_be_where_what_a_step_took_is_unknown(tmp_path: Path) -> None:
    async with agent(project(tmp_path), approving()) as codex:
        plan = await codex.plan()
        await to_the_end(codex, plan)
        audited = await codex.call("stratum_audit", plan=plan)
        commands = await codex.plan(steps=[{"id": "1", "command": ["true"]}], contracts={})
        await codex.call("stratum_execute", plan=commands)
        known = await codex.call("stratum_audit", plan=commands)

    assert audited["text"].splitlines() == [
        "Step 1: 1 attempt, cost unknown",
        "Step 2: 1 attempt, cost unknown",
        "Total: at least 0.000 USD, 0 retries, all passing",
    ]
    assert known["text"].endswith("Total: 0.000 USD, 0 retries, all passing")
