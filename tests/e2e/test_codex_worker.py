"""Agent steps done by the real Codex binary, its model played by a script."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import trio
from tests.e2e.codex import codex_home
from tests.fakes.codex_model import (
    Action,
    CodexModel,
    CodexRequest,
    Item,
    call,
    open_codex_model,
    run,
    say,
    turns,
    write,
)

from stratum import Price, open_runtime
from stratum.contracts.plans.errors import PlanFailed
from stratum.contracts.plans.text import read_plan
from stratum.contracts.records import CallFinished
from stratum.contracts.trace import TraceRecord
from stratum.engine.plans.approval.approvals import Approvals
from stratum.engine.plans.case import Case, Exhibit, Judged
from stratum.engine.plans.codex_exec import Codex
from stratum.engine.plans.codex_worker import CodexWorker
from stratum.engine.plans.judges import CodexJudge
from stratum.engine.plans.plan_run import PlanRun
from stratum.engine.plans.plans import open_plans
from stratum.engine.providers.scripted import scripted

pytestmark = pytest.mark.e2e

MODEL = "gpt-5.5"
USAGE = {"input": 1000, "cached": 400, "output": 100, "reasoning": 60}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".gitignore").write_text(".stratum/\n")
    (folder / "shared.txt").write_text("".join(f"line {number}\n" for number in range(30)))
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "1"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


async def ended(project: Path, plan: str, model: CodexModel, tmp_path: Path, *, at_once: int = 4) -> PlanRun:
    """The plan's run, once Codex has done its steps."""
    home = codex_home(tmp_path, model.url, model=MODEL, sandbox="danger-full-access")
    worker = CodexWorker(Codex(home.binary, env=home.env), at_once=at_once)
    approvals = Approvals(project, folder=tmp_path / "state")
    async with (
        open_runtime(
            provider=scripted(),
            journal=project / ".stratum" / "stratum.db",
            prices={MODEL: Price.per_million(input=1, output=10)},
        ) as runtime,
        open_plans(runtime, workspace=project, approvals=approvals, agents=worker) as plans,
    ):
        draft = await plans.propose(read_plan(plan), by="a test")
        approvals.approve(draft.digest, by="ada", how="terminal")
        live = await plans.start(draft.run)
        with trio.fail_after(300):
            await live.ended.wait()
        return live


def traces(live: PlanRun) -> dict[str, TraceRecord]:
    finished = [known.recorded.finished for known in live.log.past.by_id.values()]
    return {record.call: record.trace for record in finished if isinstance(record, CallFinished)}


def by_step(actions: dict[str, Action]) -> Action:
    """Each thread plays the step that its prompt names."""

    def act(request: CodexRequest) -> list[Item]:
        prompt = next(said for said in request.said if "Your step, " in said)
        step = prompt.partition("Your step, ")[2].partition(":")[0]
        return list(actions[step](request))

    return act


async def test_a_step_is_done_in_a_thread_and_a_rejected_report_goes_on_in_it_with_the_violation_alone(
    tmp_path: Path, project: Path
) -> None:
    plan = """
    goal: Greet
    input: {}
    contracts: {Greeting: {type: object, properties: {words: {type: integer}}, required: [words]}}
    steps:
    - id: greet
      intent: Write a greeting
      inputs: {to: {name: Ada}}
      output: Greeting
      ensure: ['file_contains("hello.txt", "Ada")', "result.words == 2"]
    """
    script = turns(
        write("hello.txt", "hello you"),
        say('{"words": 3}'),
        run("printf 'hello Ada' > hello.txt"),
        say('{"words": 2}'),
    )
    async with open_codex_model(script, usage=USAGE) as model:
        live = await ended(project, plan, model, tmp_path)
    assert model.failures == []
    assert (await live.result()) == {"words": 2}
    assert (project / "hello.txt").read_text() == "hello Ada"

    first, _, third, _ = model.requests
    assert '{"to": {"name": "Ada"}}' in first.said[-1]
    assert "The plan's goal: Greet" in first.said[-1]
    assert third.said[-1] == (
        "Previous attempt failed:\n"
        "  - ensure: file_contains(\"hello.txt\", \"Ada\") ('hello.txt' does not contain 'Ada')\n"
        "  - ensure: result.words == 2 (actual: 3)\n"
        "Fix these issues specifically."
    )
    assert first.body["text"]["format"]["schema"]["properties"] == {"words": {"type": "integer"}}
    trace = traces(live)["greet"]
    # Two turns of two requests each; the second turn's usage is what the thread has used since the first.
    assert [attempt.usage.input_tokens for attempt in trace.attempt_details if attempt.usage] == [2000, 2000]
    assert (trace.attempts, trace.cached_tokens, trace.output_tokens, trace.reasoning_tokens) == (2, 1600, 400, 240)
    assert trace.cost_usd == pytest.approx(4000 * 1e-6 + 400 * 10e-6)


async def test_steps_at_the_same_time_work_in_trees_of_their_own_and_are_merged(tmp_path: Path, project: Path) -> None:
    plan = """
    steps:
    - {id: a, intent: Do a}
    - {id: b, intent: Do b}
    - {id: c, intent: Do c}
    - {id: end, intent: Look, depends_on: [a, b, c]}
    """

    def edit(step: str, line: int) -> Action:
        return turns(
            run(f"sed -i 's/^line {line}$/{step} was here/' shared.txt; echo {step} > {step}.txt; pwd; ls *.txt"),
            say(json.dumps({"did": step})),
        )

    actions = {"a": edit("a", 2), "b": edit("b", 14), "c": edit("c", 27), "end": turns(run("cat shared.txt"), say("1"))}
    async with open_codex_model(by_step(actions)) as model:
        live = await ended(project, plan, model, tmp_path)
    assert model.failures == []
    await live.result()
    lines = (project / "shared.txt").read_text().splitlines()
    assert (lines[2], lines[14], lines[27], len(lines)) == ("a was here", "b was here", "c was here", 30)
    assert all((project / f"{step}.txt").exists() for step in actions if step != "end")
    outputs = [request.outputs[0] for request in model.requests if request.turn == 1]
    folders = {line for output in outputs for line in output.splitlines() if line.startswith("/")}
    assert str(project) in folders
    assert sum("stratum-side-" in folder for folder in folders) == 2
    listed = await trio.run_process(["git", "worktree", "list"], cwd=project, capture_stdout=True)
    assert len(listed.stdout.splitlines()) == 1


async def test_a_step_in_a_tree_of_its_own_that_changes_other_files_is_done_again_and_nothing_of_it_is_kept(
    tmp_path: Path, project: Path
) -> None:
    plan = """
    steps:
    - {id: a, intent: Do a, files: [a.txt]}
    - {id: b, intent: Do b, files: [b.txt]}
    """

    def edit(step: str) -> Action:
        return turns(
            run(f"echo first > {step}.txt; echo {step} > stray.txt"),
            say('"done"'),
            run(f"if [ $PWD = {project} ]; then rm stray.txt; fi; echo second > {step}.txt"),
            say('"done again"'),
        )

    async with open_codex_model(by_step({"a": edit("a"), "b": edit("b")})) as model:
        live = await ended(project, plan, model, tmp_path)
    assert model.failures == []
    await live.result()
    assert not (project / "stray.txt").exists()
    assert [(project / f"{step}.txt").read_text() for step in "ab"] == ["second\n", "second\n"]
    reasons = [reason for trace in traces(live).values() for reason in trace.retry_reasons]
    assert sum("also changed: stray.txt" in reason for reason in reasons) == 2
    assert sum("nothing was kept" in reason for reason in reasons) == 1, "the other works in the workspace itself"


async def test_changes_of_the_same_line_conflict_and_the_later_one_is_done_again_on_top(
    tmp_path: Path, project: Path
) -> None:
    """CASES H36."""
    plan = """
    steps:
    - {id: a, intent: Do a}
    - {id: b, intent: Do b}
    """

    def edit(step: str) -> Action:
        change = run(f"echo {step} >> line.txt; sed -i '1s/$/ {step}/' shared.txt")
        return turns(change, say('"done"'), change, say('"done again"'))

    async with open_codex_model(by_step({"a": edit("a"), "b": edit("b")}), together=2) as model:
        live = await ended(project, plan, model, tmp_path)
    assert model.failures == []
    await live.result()
    assert (project / "shared.txt").read_text().splitlines()[0] in ("line 0 a b", "line 0 b a")
    (reason,) = [reason for trace in traces(live).values() for reason in trace.retry_reasons]
    assert "another step changed the same lines meanwhile, in line.txt, shared.txt" in reason


async def test_a_step_that_codex_never_gets_right_fails(tmp_path: Path, project: Path) -> None:
    plan = "steps: [{id: a, intent: Count, output: int, retries: 1}]"
    async with open_codex_model(turns(say('{"value": "many"}'))) as model:
        live = await ended(project, plan, model, tmp_path)
    with pytest.raises(PlanFailed, match="expected int"):
        await live.result()
    assert len(model.requests) == 2


async def test_a_step_that_runs_out_of_time_stops_its_codex(tmp_path: Path, project: Path) -> None:
    plan = "steps: [{id: a, intent: Sleep, budget: {ms: 20000}}]"
    # Else Codex tells its model after 10 s that the command runs on.
    sleeps = call("exec_command", {"cmd": "touch begun; sleep 60613", "yield_time_ms": 30_000})
    async with open_codex_model(turns(sleeps, say("1"))) as model:
        live = await ended(project, plan, model, tmp_path)
    with pytest.raises(PlanFailed, match="20,000 ms"):
        await live.result()
    assert (project / "begun").exists()
    left = await trio.run_process(["pgrep", "-f", "sleep 60613"], capture_stdout=True, check=False)
    assert left.stdout == b""


async def test_codex_judges_what_it_can_see_for_itself(tmp_path: Path, project: Path) -> None:
    async def gather() -> list[Exhibit]:
        return [Exhibit(title="what changed in the workspace", text="+nothing")]

    async def ask() -> Judged:
        raise AssertionError("nobody is asked")

    case = Case(
        condition="there is a test",
        step="a",
        task="write tests",
        result="done",
        inputs={},
        workspace=project,
        gather=gather,
        ask=ask,
    )
    script = turns(
        run("ls; touch forbidden"),
        say(lambda request: json.dumps({"holds": False, "why": f"only {request.outputs[-1].split()[-1]} is there"})),
    )
    async with open_codex_model(script) as model:
        home = codex_home(tmp_path, model.url, model=MODEL)
        judged = await CodexJudge(Codex(home.binary, env=home.env))(case)
    assert model.failures == []
    assert not judged.holds
    assert judged.detail.startswith("only ")
    assert not (project / "forbidden").exists()
