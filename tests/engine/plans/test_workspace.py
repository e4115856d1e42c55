"""Commands and snapshots in a plan's run: real programs, a real repository."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import trio
from tests.engine.plans.plan_fixtures import assigned, open_project, reported, standing, started
from tests.fakes.git import git

from stratum.contracts.errors import RestoreRefused, RunError
from stratum.contracts.plans.errors import PlanFailed, RunCancelled
from stratum.contracts.records import CallFinished, CommandStarted, RolledBack, SnapshotTaken
from stratum.engine.plans.case import Case, Judged
from stratum.engine.plans.plans import Plans

PYTHON = sys.executable


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / ".gitignore").write_text("stratum.db*\nstate/\n*.journal*\n")
    (folder / "app.py").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


async def test_a_command_is_run_with_its_arguments_and_its_output_passed_on(tmp_path: Path) -> None:
    plan = """
    input: {word: str}
    steps:
    - {id: say, command: [echo, "a b", $.input.word]}
    - {id: count, command: {argv: [wc, -c]}, output: int}
    - {id: again, command: [echo, $.steps.say.output.stdout, $.steps.count.output]}
    output: $.steps.again.output.stdout
    """
    async with open_project(tmp_path) as plans:
        run = await started(plans, plan, {"word": "$HOME"})
        assert await run.result() == "a b $HOME\n 0\n"


async def test_a_command_that_fails_fails_its_step_and_is_not_run_twice(tmp_path: Path) -> None:
    plan = """
    steps:
    - {id: bad, command: [sh, -c, "echo x >> ran; echo 'no such route' >&2; exit 3"]}
    """
    async with open_project(tmp_path) as plans:
        run = await started(plans, plan)
        with pytest.raises(PlanFailed, match="exit status 3: no such route"):
            await run.result()
    assert (tmp_path / "ran").read_text() == "x\n"


async def test_what_a_plan_asks_of_a_command_decides(tmp_path: Path) -> None:
    plan = f"""
    steps:
    - {{id: grep, command: [grep, -c, x, nothing], ensure: "result.exit_code in [0, 2]"}}
    - {{id: none, command: [{PYTHON}, -m, pytest, --collect-only, -q, -p, "no:cacheprovider"], depends_on: [grep]}}
    fail_fast: false
    """
    (tmp_path / "test_a.py").write_text("def test_a(): pass\n")
    async with open_project(tmp_path) as plans:
        run = await started(plans, plan)
        with pytest.raises(PlanFailed, match="its pytest report says that no test was run"):
            await run.result()
        assert standing(run.status()) == {"grep": "done", "none": "failed"}


@pytest.mark.parametrize(
    ("output", "said", "problem"),
    [
        ("int", "echo 12", ""),
        ("int", "echo twelve", "expected"),
        ("int", "exit 1", "exit status 1"),
        ("str", f"{PYTHON} -c \"print('9' * 100000)\"", "its output of 100,001 bytes is too long"),
    ],
)
async def test_output_that_is_declared_is_read_as_json(tmp_path: Path, output: str, said: str, problem: str) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(
            plans, f"steps: [{{id: a, output: {output}, command: {{argv: [{json.dumps(said)}], shell: true}}}}]"
        )
        if not problem:
            assert await run.result() == 12
            return
        with pytest.raises(PlanFailed, match=problem):
            await run.result()


async def test_conditions_run_their_commands_in_the_workspace_and_say_what_was_wrong(tmp_path: Path) -> None:
    plan = """
    steps:
    - id: write
      fn: write_it
      ensure:
      - {command: [test, -f, made]}
      - command_succeeds("grep", "-q", "done", "made")
    """
    async with open_project(tmp_path) as plans:
        run = await started(plans, plan)
        verdict = await reported(run, "write", "trust me")
        absent, unread = [violation.detail for violation in verdict.violations]
        assert absent == "exit status 1"
        assert unread.endswith("exit status 2: grep: made: No such file or directory")
        (tmp_path / "made").write_text("done")
        assert (await reported(run, "write", "now it is there")).accepted
        await run.result()


async def test_a_budget_of_time_ends_a_command(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, "steps: [{id: a, command: [sleep, '1000'], budget: {ms: 300}}]")
        with pytest.raises(PlanFailed, match="300 ms"):
            await run.result()


async def test_a_command_whose_end_is_not_known_is_run_again_under_the_same_key(tmp_path: Path) -> None:
    plan = """
    steps:
    - {id: a, command: [sh, -c, "echo $STRATUM_STEP_KEY >> keys; test -f go || sleep 1000"]}
    - {id: b, command: [sh, -c, "echo $STRATUM_STEP_KEY >> keys"], depends_on: [a]}
    """
    async with open_project(tmp_path) as plans:
        run = await started(plans, plan)
        with trio.fail_after(60):
            while not ((tmp_path / "keys").exists() and (tmp_path / "keys").read_text()):
                await trio.sleep(0.01)
        run.cancel("power cut")
        with pytest.raises(RunCancelled):
            await run.result()
    (tmp_path / "go").touch()
    async with open_project(tmp_path) as plans:
        await (await plans.start(run.id)).result()
        started_commands = [
            record.key
            for record in await plans.runtime.journal.read(run.id)
            if isinstance(record, CommandStarted)  # pyright: ignore[reportPrivateUsage]
        ]
    keys = (tmp_path / "keys").read_text().split()
    assert keys == [f"{run.id}/a/1", f"{run.id}/a/1", f"{run.id}/b/1"]
    assert started_commands == keys


WRITES = """
steps:
- {id: a, command: [sh, -c, "echo a > a; echo two > app.py"]}
- {id: note, fn: note, depends_on: [a]}
- {id: b, command: [sh, -c, "echo b > b; rm a"], depends_on: [note]}
"""


async def test_steps_that_change_files_are_bracketed_by_snapshots(project: Path) -> None:
    async with open_project(project) as plans:
        run = await started(plans, WRITES)
        await assigned(run, "note")
        (project / "noted").write_text("by the agent")
        assert (await reported(run, "note", "ok")).accepted
        await run.result()
        records = await plans.runtime.journal.read(run.id)  # pyright: ignore[reportPrivateUsage]
    taken = [(record.call, record.when) for record in records if isinstance(record, SnapshotTaken)]
    assert taken == [(id, when) for id in ("a", "note", "b") for when in ("before", "after")]
    refs = git(project, "for-each-ref", "--format=%(refname)", f"refs/stratum/{run.id}").decode().split()
    assert sorted(refs) == sorted(
        f"refs/stratum/{run.id}/{id}{when}" for id in ("a", "note", "b") for when in ("", ".before")
    )
    assert git(project, "show", f"refs/stratum/{run.id}/note:noted") == b"by the agent"


async def ran(plans: Plans) -> str:
    run = await started(plans, WRITES)
    await reported(run, "note", "ok")
    await run.result()
    return run.id


async def test_a_rollback_restores_the_files_and_what_came_later_is_done_again(project: Path) -> None:
    """CASES H32."""
    async with open_project(project) as plans:
        run = await ran(plans)
        restored = await plans.rollback(run, "a", by="ada")
        assert restored.files == ("a", "b")
        assert ((project / "a").exists(), (project / "b").exists()) == (True, False)
        again = await plans.start(run)
        assert (await reported(again, "note", "again")).accepted
        await again.result()
        assert ((project / "a").exists(), (project / "b").exists()) == (False, True)
        records = await plans.runtime.journal.read(run)  # pyright: ignore[reportPrivateUsage]
    (record,) = [record for record in records if isinstance(record, RolledBack)]
    assert (record.undone, record.by) == (["note", "b"], "ada")
    done = [record.call for record in records if isinstance(record, CallFinished)]
    assert done == ["a", "note", "b", "note", "b"]


async def test_a_rollback_that_would_lose_work_is_refused_and_one_that_makes_no_sense(project: Path) -> None:
    """CASES H32."""
    async with open_project(project) as plans:
        run = await ran(plans)
        (project / "mine").write_text("mine")
        with pytest.raises(RestoreRefused, match="mine"):
            await plans.rollback(run, "a", by="ada")
        with pytest.raises(RunError, match="step c has no snapshot; a, note, b has"):
            await plans.rollback(run, "c", by="ada")
        await plans.rollback(run, "a", by="ada", force=True)
        assert not (project / "mine").exists()
        live = await plans.start(run)
        with pytest.raises(RunError, match="it is at work"):
            await plans.rollback(run, "a", by="ada")
        live.cancel("enough")


async def test_a_judge_sees_what_changed_and_what_was_run(project: Path) -> None:
    cases: list[Case] = []
    shown: list[tuple[str, str]] = []

    async def judge(case: Case) -> Judged:
        cases.append(case)
        shown.extend((exhibit.title, exhibit.text) for exhibit in await case.gather())
        return Judged(holds=True)

    plan = """
    steps:
    - id: a
      intent: Say three
      fn: edit
      inputs: {file: app.py}
      ensure: [{command: [cat, app.py]}, {judge: the file says three}]
    """
    async with open_project(project, judge=judge) as plans:
        run = await started(plans, plan)
        await assigned(run, "a")
        (project / "app.py").write_text("three\n")
        assert (await reported(run, "a", "I swear that it does")).accepted
        await run.result()
    (case,) = cases
    assert (case.condition, case.task, case.result, case.inputs) == (
        "the file says three",
        "Say three",
        "I swear that it does",
        {"file": "app.py"},
    )
    (changed, ran_it) = shown
    assert changed[0] == "what changed in the workspace"
    assert "-one\n+three\n" in changed[1]
    assert ran_it == ("command `cat app.py`: exit status 0", "three\n")


@pytest.mark.parametrize(
    ("decision", "comment", "detail"),
    [
        ("approve", "", None),
        ("revise", "the tests are missing", "the tests are missing"),
        ("revise", "", "ada says no"),
    ],
)
async def test_a_condition_may_be_put_to_a_person(
    tmp_path: Path, decision: str, comment: str, detail: str | None
) -> None:
    async def judge(case: Case) -> Judged:
        return await case.ask()

    async with open_project(tmp_path, judge=judge) as plans:
        run = await started(plans, "steps: [{id: a, fn: do, ensure: {judge: it is good}}]")
        assignment = await assigned(run, "a")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def answer() -> None:
                status = run.status()
                while not status.questions:
                    status = await run.changed(status.version)
                assert status.questions[0].question == "Does this hold? it is good"
                run.answer("a", decision, by="ada", comment=comment)  # type: ignore[arg-type]

            verdict = await run.report("a", 1, ticket=assignment.ticket)
        assert verdict.accepted is (detail is None)
        assert [violation.detail for violation in verdict.violations] == ([] if detail is None else [detail])
        run.cancel("enough")


async def test_an_agent_changes_its_files_alone(project: Path) -> None:
    plan = "steps: [{id: a, intent: Write, fn: write, files: ['src/*.py'], retries: 1}]"
    async with open_project(project) as plans:
        run = await started(plans, plan)
        assert (await assigned(run, "a")).files == ("src/*.py",)
        (project / "src").mkdir()
        (project / "src/new.py").write_text("new\n")
        (project / "app.py").write_text("two\n")
        verdict = await reported(run, "a", 1)
        (violation,) = verdict.violations
        assert violation.for_prompt == "ensure: changes only src/*.py (also changed: app.py)"
        (project / "app.py").write_text("one\n")
        assert (await reported(run, "a", 1)).accepted


async def test_a_command_that_changes_other_files_fails(project: Path) -> None:
    plan = "steps: [{id: a, command: [sh, -c, 'echo x > app.py; echo y > other.txt'], files: [other.txt]}]"
    async with open_project(project) as plans:
        run = await started(plans, plan)
        with pytest.raises(PlanFailed, match=r"changes only other.txt \(also changed: app.py\)"):
            await run.result()


async def test_what_another_step_may_have_changed_meanwhile_is_not_held_against_one(project: Path) -> None:
    plan = """
    plans: {inner: {steps: [{id: x, intent: Change, files: [inner.txt]}]}}
    steps:
    - {id: a, intent: Write, files: [a.txt], retries: 0}
    - {id: b, intent: Write, files: [b.txt]}
    - {id: c, fn: inner}
    - {id: later, intent: Write, files: [later.txt], depends_on: [b]}
    """
    async with open_project(project) as plans:
        run = await started(plans, plan)
        for step in ("a", "b", "c/x"):
            await assigned(run, step)
        for name in ("a.txt", "b.txt", "inner.txt"):
            (project / name).write_text("x\n")
        (project / "later.txt").write_text("x\n")
        assert (await reported(run, "a", 1)).accepted
        rejected = await reported(run, "b", 1)
        assert [violation.detail for violation in rejected.violations] == ["also changed: later.txt"]
        (project / "later.txt").unlink()
        assert (await reported(run, "b", 1)).accepted
        (project / "app.py").write_text("x\n")
        assert (await reported(run, "c/x", 1)).violations[0].detail == "also changed: app.py"


async def test_where_a_neighbour_may_change_anything_nothing_is_held_against_one(project: Path) -> None:
    plan = "steps: [{id: a, intent: Write, files: [a.txt]}, {id: b, intent: Write}]"
    async with open_project(project) as plans:
        run = await started(plans, plan)
        await assigned(run, "a")
        (project / "app.py").write_text("x\n")
        assert (await reported(run, "a", 1)).accepted


async def test_without_git_files_are_not_held_against_anybody(tmp_path: Path) -> None:
    async with open_project(tmp_path) as plans:
        run = await started(plans, "steps: [{id: a, intent: Write, files: [a.txt]}]")
        await assigned(run, "a")
        (tmp_path / "other.txt").write_text("x\n")
        assert (await reported(run, "a", 1)).accepted
