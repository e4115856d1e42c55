"""Plans on the command line: approved at a terminal, run, watched, answered and stopped from another process."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner

from stratum.cli import stratum
from tests.fakes.command_line import Terminal, call

FLOWS = Path(__file__).with_name("cli_flows.py")
PLAN = """
goal: Judge it
input: {text: str}
steps:
- {id: a, fn: judge, inputs: {text: $.input.text}}
- {id: b, fn: loud, inputs: {verdict: $.steps.a.output}}
"""
GATED = """
goal: Ask first
steps:
- {id: a, fn: loud, inputs: {verdict: {label: x, score: 1.0}}}
- {id: g, gate: {question: Go on?}, depends_on: [a]}
- {id: b, fn: loud, inputs: {verdict: {label: y, score: 1.0}}, depends_on: [g]}
"""


@pytest.fixture
def project(tmp_path: Path, house_model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("STRATUM_STATE_HOME", str(tmp_path / "state"))
    Path("plan.yaml").write_text(PLAN, encoding="utf-8")
    Path("gated.yaml").write_text(GATED, encoding="utf-8")
    return Path.cwd()


def proposed(plan: str = "plan.yaml") -> tuple[str, str]:
    """A plan that waits for approval: its run, and its digest's head."""
    result = call("run", plan, "--steps", str(FLOWS), *(["--input", "text=hello"] if plan == "plan.yaml" else []))
    assert result.exit_code == 6, result.stderr
    found = re.search(r"run (\w+): this plan has not been approved \(digest (\w+)\)", result.stderr)
    assert found is not None, result.stderr
    return found[1], found[2]


def test_without_a_terminal_a_plan_waits_to_be_approved(project: Path) -> None:
    run, digest = proposed()
    assert call("runs").stdout.split()[:2] == [run, "draft"]
    refused = call("approve", run)
    assert refused.exit_code == 6
    assert "at a terminal" in refused.stderr
    assert call("resume", run).exit_code == 6
    status = json.loads(call("status", run, "--json").stdout)
    assert (status["state"], status["digest"][:12]) == ("draft", digest)
    assert call("audit", run).stdout == "Total: 0.000 USD, 0 retries, nothing was done\n"
    assert not list(project.parent.rglob("approvals/*/*.json"))


def test_a_plan_is_approved_with_its_inputs_and_not_by_the_digest_of_the_plan_alone(project: Path) -> None:
    run, digest = proposed()
    alone = call("plan", "check", "plan.yaml", "--steps", str(FLOWS)).stdout.split()[-1]
    mistaken = Terminal("approve", run)
    mistaken.expect(f"digest of all this: {digest}")
    mistaken.type(alone[:6])
    assert mistaken.ended() == 6
    assert alone[:12] not in mistaken.said
    assert f'"{alone[:6]}" is not the beginning of that digest' in mistaken.said
    shown = call("plan", "show", run, "--as", "details").stdout.splitlines()
    assert shown[-2] == 'given "text": "hello"'
    assert shown[-1].startswith(f"digest of all this: {digest}")


def test_a_plan_is_approved_by_typing_its_digests_head_and_then_runs(project: Path) -> None:
    run, digest = proposed()
    wrong = Terminal("approve", run)
    wrong.expect("first 6 characters of the digest")
    wrong.type("y")
    assert wrong.ended() == 6
    assert "was not approved" in wrong.said
    right = Terminal("approve", run)
    right.expect("step a \\(infer\\)")
    right.expect('given "text": "hello"\r?\n')
    right.expect("first 6 characters of the digest")
    right.type(digest[:6])
    assert right.ended() == 0
    assert "approved" in right.said
    result = call("resume", run)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == "Y"
    assert call("status", run).stdout.splitlines()[0].split()[:2] == [run, "succeeded"]
    audit = call("audit", run).stdout
    assert audit.startswith("Step a: 1 attempt, ")
    assert audit.endswith("0 retries, all passing\n")


def test_an_approval_is_bound_to_the_inputs(project: Path) -> None:
    run, digest = proposed()
    approve(run, digest)
    again = call("run", "plan.yaml", "--steps", str(FLOWS), "--input", "text=hello")
    assert again.exit_code == 0, again.stderr
    other = call("run", "plan.yaml", "--steps", str(FLOWS), "--input", "text=another")
    assert other.exit_code == 6
    assert call("approve", run, "--revoke").stdout == f"{run}: no longer approved\n"
    assert call("run", "plan.yaml", "--steps", str(FLOWS), "--input", "text=hello").exit_code == 6


def test_a_plan_that_is_run_at_a_terminal_is_shown_with_what_it_will_probably_take(project: Path) -> None:
    terminal = Terminal("run", "plan.yaml", "--steps", str(FLOWS), "--input", "text=hello")
    terminal.expect(r"budget: ~1 tool call, estimated \$")
    terminal.expect("first 6 characters")
    terminal.type("")
    assert terminal.ended() == 6
    assert "this plan was not approved (digest" in terminal.said


def test_a_gate_is_asked_where_the_plan_runs(project: Path) -> None:
    terminal = Terminal("run", "gated.yaml", "--steps", str(FLOWS))
    digest = terminal.expect(r"digest of all this: (\w+)")[1]
    terminal.expect("first 6 characters")
    terminal.type(digest[:6])
    terminal.expect("gate g asks: Go on")
    terminal.expect("decide")
    terminal.type("approve")
    assert terminal.ended() == 0
    assert '"Y"' in terminal.said


def approve(run: str, digest: str) -> None:
    terminal = Terminal("approve", run)
    terminal.expect("first 6 characters")
    terminal.type(digest[:6])
    assert terminal.ended() == 0


def at_its_gate(run: str, digest: str) -> tuple[subprocess.Popen[str], IO[str]]:
    """The run, approved, in a process of its own that waits for an answer; and what that says from now on."""
    approve(run, digest)
    waiting = subprocess.Popen(
        [sys.executable, "-m", "stratum", "resume", run], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert waiting.stderr is not None
    for line in waiting.stderr:
        if "answer with: stratum gate" in line:
            break
    return waiting, waiting.stderr


def test_a_gate_is_answered_and_a_run_cancelled_from_another_process(project: Path) -> None:
    run, digest = proposed("gated.yaml")
    waiting, told = at_its_gate(run, digest)
    assert "paused" not in call("status", run).stdout
    assert " asking " in call("status", run).stdout
    assert "gate g asks: Go on?" in call("status", run).stdout
    assert call("gate", run, "a", "approve").exit_code == 2
    assert call("gate", run, "g", "approve").exit_code == 0
    assert waiting.wait(60) == 0
    told.close()
    refused = call("cancel", run)
    assert refused.exit_code == 2
    assert f"{run} is not at work (succeeded)" in refused.stderr


def test_a_run_is_cancelled_from_another_process_and_gone_on_with(project: Path) -> None:
    run, digest = proposed("gated.yaml")
    waiting, told = at_its_gate(run, digest)
    assert call("cancel", run, "--because", "lunch").exit_code == 0
    assert "lunch" in told.read()
    assert waiting.wait(60) == 1
    told.close()
    status = call("status", run).stdout
    assert status.splitlines()[0].split()[:2] == [run, "cancelled"]


def test_a_plan_with_agent_steps_needs_an_agent(project: Path) -> None:
    Path("agents.yaml").write_text("steps: [{id: a, intent: Look around, output: str}]", encoding="utf-8")
    result = call("run", "agents.yaml")
    assert result.exit_code == 2
    assert "an agent would have to do these steps, and none is here: a; if" in result.stderr
    forgotten = call("run", "plan.yaml", "--input", "text=hello")
    assert (
        forgotten.exit_code,
        'a ("judge"), b ("loud"); if they are functions of yours, name their file with --steps' in forgotten.stderr,
    ) == (2, True)
    assert call("runs").exit_code == 4  # nothing was kept


def test_codex_has_to_be_installed_to_be_the_agent(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project))
    Path("agents.yaml").write_text("steps: [{id: a, intent: Look around, output: str}]", encoding="utf-8")
    result = call("run", "agents.yaml", "--agent", "codex")
    assert result.exit_code == 2
    assert "--agent codex: there is no codex in PATH; install it" in result.stderr


CODEX = """#!/bin/sh
cat > seen-prompt
echo '{"type":"thread.started","thread_id":"t-1"}'
echo '{"type":"item.completed","item":{"type":"agent_message","text":"{\\"value\\": \\"a tidy room\\"}"}}'
"""


def test_codex_does_the_steps_of_agents(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "codex").write_text(CODEX)
    (project / "codex").chmod(0o755)
    monkeypatch.setenv("PATH", f"{project}:{os.environ['PATH']}")
    Path("agents.yaml").write_text("steps: [{id: a, intent: Look around, output: str}]", encoding="utf-8")
    refused = call("run", "agents.yaml", "--agent", "codex")
    found = re.search(r"run (\w+): this plan has not been approved \(digest (\w+)\)", refused.stderr)
    assert found is not None, refused.stderr
    approving = Terminal("approve", found[1])
    approving.expect("characters of the digest")
    approving.type(found[2][:6])
    assert approving.ended() == 0
    done = call("resume", found[1], "--agent", "codex")
    assert done.stdout == '"a tidy room"\n', done.stderr
    assert "Your step, a: Look around" in (project / "seen-prompt").read_text()


def test_what_is_wrong_with_a_plan_is_told_before_anything_is_kept(project: Path) -> None:
    Path("bad.yaml").write_text("steps: [{id: a, fn: nothing, kind: compute}]", encoding="utf-8")
    assert call("run", "bad.yaml").exit_code == 2
    assert call("run", "plan.yaml", "--steps", str(FLOWS), "--input", "txt=x").exit_code == 2
    absent = call("run", "none.yaml")
    assert (absent.exit_code, "no file none.yaml" in absent.stderr) == (2, True)
    without = call("run", "plan.yaml", "--steps", str(FLOWS))
    assert without.exit_code == 2
    assert "not a valid input of the plan:\n  - schema: text: expected str, got nothing" in without.stderr
    assert "no runs" in call("runs").stderr or call("runs").exit_code == 4


def test_a_draft_is_shown_compared_and_edited_and_then_approved_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, digest = proposed()
    assert 'fn: "judge"' in call("plan", "show", run).stdout
    assert call("plan", "diff", run, "plan.yaml", "--steps", str(FLOWS)).exit_code == 0
    approve(run, digest)
    editor = project / "editor.py"
    editor.write_text(
        "import sys; from pathlib import Path; file = Path(sys.argv[1]);"
        "text = file.read_text().replace('goal: Judge it', 'goal: Judge it twice');"
        "file.write_text(text + 'budget: {usd: 0.01}')",
        encoding="utf-8",
    )
    monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(editor)]))
    edited = call("plan", "edit", run)
    assert edited.exit_code == 0, edited.stderr
    assert edited.stdout.splitlines() == [
        "~ goal: Judge it -> Judge it twice",
        '~ budget: nothing -> {"usd":0.01}',
        f"{run}: to be approved with `stratum approve {run}`, or on the page of `stratum ui`",
    ]
    assert call("resume", run).exit_code == 6
    compared = call("plan", "diff", "plan.yaml", run, "--steps", str(FLOWS))
    assert compared.exit_code == 1
    assert "~ goal: Judge it -> Judge it twice" in compared.stdout


def test_an_edited_plan_is_estimated_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = proposed()
    before = call("plan", "show", run).stdout
    assert "~1 tool call" in before
    editor = project / "editor.py"
    editor.write_text(
        "import sys; from pathlib import Path; file = Path(sys.argv[1]);"
        r"file.write_text(file.read_text().replace('steps:\n', 'steps:\n- {id: c, fn: judge, inputs: {text: more}}\n'))",
        encoding="utf-8",
    )
    monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(editor)]))
    assert call("plan", "edit", run).exit_code == 0
    assert "~2 tool calls" in call("plan", "show", run).stdout


def test_what_an_editor_leaves_as_it_was_or_makes_invalid_changes_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = proposed()
    monkeypatch.setenv("EDITOR", "true")
    assert call("plan", "edit", run).stdout == f"{run}: left as it was\n"
    editor = project / "editor.py"
    editor.write_text("import sys; open(sys.argv[1], 'a').write('nonsense: 1')", encoding="utf-8")
    monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(editor)]))
    result = CliRunner().invoke(stratum, ["plan", "edit", run], input="n\n")
    assert 'there is no key "nonsense"' in result.stderr
    assert result.stdout.endswith(f"{run}: left as it was\n")


def test_a_run_is_rolled_back_to_what_the_files_were_after_a_step(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    Path(".gitignore").write_text(".stratum/\n", encoding="utf-8")
    Path("writes.yaml").write_text(
        "steps:\n"
        "- {id: a, command: [sh, -c, 'echo one > file']}\n"
        "- {id: b, command: [sh, -c, 'echo two > file'], depends_on: [a]}\n",
        encoding="utf-8",
    )
    run, digest = proposed("writes.yaml")
    approve(run, digest)
    assert call("resume", run).exit_code == 0
    Path("file").write_text("mine\n", encoding="utf-8")
    refused = call("rollback", run, "a")
    assert refused.exit_code == 1
    assert "file" in refused.stderr
    assert Path("file").read_text(encoding="utf-8") == "mine\n"
    done = call("rollback", run, "a", "--force")
    assert done.exit_code == 0, done.stderr
    assert "restored file" in done.stdout
    assert Path("file").read_text(encoding="utf-8") == "one\n"
    assert call("rollback", run, "nothing").exit_code == 1
    assert call("resume", run).exit_code == 0
    assert Path("file").read_text(encoding="utf-8") == "two\n"


def test_a_plan_whose_steps_call_no_model_needs_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRATUM_BASE_URL", "STRATUM_MODEL", "STRATUM_PRICE", "OPENAI_API_KEY"):
        monkeypatch.delenv(name)
    real = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == "xllamacpp" else real(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    run, digest = proposed("gated.yaml")
    assert call("status", run).exit_code == 0
    calls, _ = proposed()
    assert calls != run
    assert len(digest) == 12


CHEAP = """
goal: Say it loud
budget: {usd: 0}
steps:
- {id: b, fn: loud, inputs: {verdict: {label: x, score: 1.0}}}
"""


def write_policy(project: Path, text: str) -> Path:
    state = project.parent / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    file = state / "policy.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def test_a_plan_within_the_policy_starts_without_a_terminal(project: Path) -> None:
    policy = write_policy(project, "[auto_approve]\ncompute = 0\n")
    Path("cheap.yaml").write_text(CHEAP, encoding="utf-8")
    for command in (("plan", "check", "cheap.yaml"), ("plan", "show", "cheap.yaml")):
        assert call(*command, "--steps", str(FLOWS)).stderr == f"policy: {policy} approves it\n"
    result = call("run", "cheap.yaml", "--steps", str(FLOWS))
    assert (result.exit_code, result.stdout) == (0, '"X"\n'), result.stderr
    # Of a run that has begun, nothing is left to be decided.
    run = call("runs").stdout.split()[0]
    assert "policy" not in call("plan", "show", run).stderr + call("status", run).stdout


def test_a_plan_beyond_the_policy_is_refused_without_a_terminal_and_told_why_everywhere(project: Path) -> None:
    policy = write_policy(project, "[auto_approve]\ncompute = 0\n")
    why = "auto_approve has no infer, which step a is"
    refused = call("run", "plan.yaml", "--steps", str(FLOWS), "--input", "text=hello")
    assert refused.exit_code == 6
    assert f"and not by policy: {why}" in refused.stderr
    run = call("runs").stdout.split()[0]
    assert f"run `stratum approve {run}` at a terminal" in refused.stderr
    assert f"not by policy: {why}" in call("resume", run).stderr
    leaves = f"policy: {policy} leaves it to you: {why} (and 1 more)\n"
    assert call("plan", "show", run, "--as", "table").stderr == leaves
    assert call("status", run).stdout.endswith(leaves)
    status = json.loads(call("status", run, "--json").stdout)
    assert (status["state"], status["policy"]) == ("draft", leaves.removeprefix("policy: ").strip())


def test_a_draft_that_the_policy_approves_is_approved_until_the_policy_is_broken(project: Path) -> None:
    Path("cheap.yaml").write_text(CHEAP, encoding="utf-8")
    call("run", "cheap.yaml", "--steps", str(FLOWS))
    run = call("runs").stdout.split()[0]
    assert "policy" not in call("status", run).stdout
    policy = write_policy(project, "[auto_approve]\ncompute = 0\n")
    assert call("status", run).stdout.startswith(f"{run}  approved")
    policy.write_text("[auto_approve]\ncompute = -1\n", encoding="utf-8")
    status = call("status", run).stdout
    assert status.startswith(f"{run}  draft")
    assert "write US dollars, 0 or more: 0.05, or remove the file; nothing starts until then" in status
    assert call("resume", run).exit_code == 2
    policy.write_text("[auto_approve]\ncompute = 0\n", encoding="utf-8")
    assert call("resume", run).exit_code == 0


def test_at_a_terminal_a_person_is_asked_and_told_what_the_policy_says(project: Path) -> None:
    policy = write_policy(project, "[auto_approve]\ncompute = 0\n")
    Path("cheap.yaml").write_text(CHEAP, encoding="utf-8")
    terminal = Terminal("run", "cheap.yaml", "--steps", str(FLOWS))
    terminal.expect(f"policy: {re.escape(str(policy))} approves it")
    terminal.expect("first 6 characters")
    terminal.type("no")
    assert terminal.ended() == 6
    assert "was not approved" in terminal.said


def test_a_price_of_nothing_in_the_work_tree_makes_no_policy_approve(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_policy(project, "[auto_approve]\ncompute = 0\ninfer = 0.01\n")
    monkeypatch.setenv("STRATUM_PRICE", "1000/2000")
    Path("bounded.yaml").write_text(f"budget: {{usd: 0.01}}\n{PLAN}", encoding="utf-8")
    asked = ("run", "bounded.yaml", "--steps", str(FLOWS), "--input", "text=hello")
    assert "its infer steps are estimated at" in call(*asked).stderr
    for text in ('[prices."house-model"]\ninput = 0\noutput = 0\n', "[prices.another]\ninput = 0\noutput = 0\n"):
        Path("stratum.toml").write_text(text, encoding="utf-8")
        refused = call(*asked)
        assert refused.exit_code == 6
        assert "stratum.toml sets the price of" in refused.stderr
        assert "it approves nothing now: " in call("doctor").stdout
    monkeypatch.delenv("STRATUM_PRICE")
    Path("stratum.toml").write_text('price = "0/0"\n', encoding="utf-8")
    refused = call(*asked)
    assert refused.exit_code == 6
    assert "stratum.toml sets a price for every model" in refused.stderr
    # As the user says it in their own environment, it is believed.
    Path("stratum.toml").write_text('[prices."house-model"]\ninput = 1\noutput = 2\n', encoding="utf-8")
    monkeypatch.setenv("STRATUM_PRICE", "1/2")
    assert call(*asked).exit_code == 0
    assert "it approves nothing now" not in call("doctor").stdout


def test_what_keeps_a_run_from_starting_keeps_nobody_from_looking(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRATUM_BASE_URL", "no url")
    shown = ("plan", "show", "plan.yaml", "--steps", str(FLOWS))
    unpriced = call(*shown)
    assert (unpriced.stderr, "tool calls" in unpriced.stdout) == ("", False)
    write_policy(project, "[auto_approve]\ncompute = 0\n")
    result = call(*shown)
    assert (result.exit_code, 'fn: "judge"' in result.stdout) == (0, True)
    assert "is not an HTTP URL" in result.stderr and "nothing starts until then" in result.stderr
