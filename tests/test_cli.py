"""The command line, against a model on the loopback interface."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from stratum.cli import stratum
from tests.fakes.command_line import call
from tests.fakes.openai_server import serve_process

FLOWS = Path(__file__).with_name("cli_flows.py")
ANSWER = '{"label": "y", "score": 1}'
REJECTED = '{"label": "y", "score": -1}'


@pytest.fixture
def project(tmp_path: Path, house_model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(flow: str, *arguments: str) -> Result:
    return call("run", f"{FLOWS}:{flow}", *arguments)


def test_a_flow_runs_with_its_result_on_stdout_and_its_progress_on_stderr(project: Path) -> None:
    result = run("judge_all", "--input", 'texts=["a", "b"]')
    assert result.exit_code == 0
    assert json.loads(result.stdout) == ["Y", "Y"]
    lines = result.stderr.splitlines()
    assert lines[0].endswith("judge_all")
    assert any(line.startswith("  judge#2  done in") for line in lines)
    assert "succeeded" in lines[-2]
    assert "of 1.000 USD" in lines[-2]
    assert lines[-1].startswith("audit: stratum audit ")
    assert (project / ".stratum" / "stratum.db").exists()


def test_a_profile_says_where_the_time_went(project: Path) -> None:
    """Issue 6."""
    lines = run("judge_all", "--input", 'texts=["a", "b"]', "--profile").stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if "s in all, steps at the same time" in line)
    table = {re.split(r"\s{2,}", line.strip())[0]: line for line in lines[start + 1 : -2]}
    assert re.fullmatch(r"before that, \d+\.\d{3} s of CPU to start Python, import, and open the runtime", lines[-2])
    assert table["waiting for the model"].endswith("2 times")
    assert table["in ensure"].endswith("2 times")
    assert table["in computes"].endswith("2 times")
    assert {"waiting for room in a budget", "waiting for the journal", "everything else"} <= table.keys()


def test_a_profile_is_part_of_json_output_also_of_a_run_that_failed(project: Path) -> None:
    profile = json.loads(run("pauper", "--input", "text=a", "--profile", "--json").stdout)["profile"]
    assert (profile["parts"]["budget"]["times"], profile["parts"]["model"]["times"]) == (1, 0)
    parts = sum(part["seconds"] for part in profile["parts"].values())
    assert parts + profile["elsewhere"] == pytest.approx(profile["seconds"])
    assert profile["cpu_before"] > 0


def test_benchmarks_are_run_at_the_top_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("bench", "--quick")
    assert result.exit_code == 2
    assert "run it at the top of a checkout" in result.stderr
    monkeypatch.chdir(FLOWS.parents[1])
    result = call("bench", "no_such")
    assert result.exit_code == 2


def test_violations_are_shown_as_they_happen(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_process(tmp_path / "bill", "--arguments", REJECTED, "--arguments", ANSWER) as server:
        monkeypatch.setenv("STRATUM_BASE_URL", server.url)
        result = run("judge_all", "--input", 'texts=["a"]')
    assert "  judge#1  attempt 1 rejected: ensure: v.score >= 0 (actual: -1.0)" in result.stderr
    audit = call("audit")
    assert audit.stdout.splitlines()[0].startswith("Step judge#1: 2 attempts, 0.0")
    assert "— retry: actual: -1.0" in audit.stdout
    assert "1 retry, all passing" in audit.stdout


def test_json_output_is_one_object_and_nothing_else(project: Path) -> None:
    result = run("judge_all", "--input", 'texts=["a"]', "--json")
    outcome = json.loads(result.stdout)
    assert (outcome["state"], outcome["output"]) == ("succeeded", ["Y"])
    assert result.stderr == ""
    assert call("audit", outcome["run"][:6]).exit_code == 0


def test_inputs_come_from_files_and_text_needs_no_quotes(project: Path) -> None:
    (project / "all.json").write_text('{"texts": ["a"], "times": 2}')
    assert json.loads(run("judge_all", "--input", "@all.json").stdout) == ["Y", "Y"]
    (project / "letter.txt").write_text("Dear Sir,\nno.")
    result = call("run", f"{FLOWS}:judge", "--input", "text=@letter.txt")
    assert json.loads(result.stdout) == {"label": "y", "score": 1.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no_colon"], "file.py:flow or module:flow"),
        (["nosuch.py:flow"], "no file nosuch.py"),
        (["nosuchmodule:flow"], "no module 'nosuchmodule'"),
        ([f"{FLOWS}:nosuch"], "broken, endless, judge, judge_all, looks, loud, pauper"),
        ([f"{FLOWS}:judge_all"], "texts"),
        ([f"{FLOWS}:judge_all", "--input", "texts"], "name=value"),
        ([f"{FLOWS}:judge_all", "--input", "txets=[]"], "judge_all takes texts, times"),
        ([f"{FLOWS}:judge_all", "--input", "texts=7"], "texts: expected array, got 7\n"),
        ([f"{FLOWS}:judge_all", "--input", 'texts=["a", 7]'], "texts[1]: expected string, got 7\n"),
        ([f"{FLOWS}:judge_all", "--input", "texts=[7"], 'texts: expected array, got "[7"\n'),
        (
            [f"{FLOWS}:judge", "--input", "text=\udcff"],
            "--input 'text=\\udcff': bytes that are no UTF-8 text; pass text",
        ),
        ([f"{FLOWS}:judge_all", "--input", "@nosuch.json"], "no file nosuch.json"),
    ],
)
def test_wrong_usage_says_what_to_do_and_runs_nothing(project: Path, arguments: list[str], said: str) -> None:
    result = call("run", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (project / ".stratum").exists()


def test_an_exhausted_budget_exits_with_3_and_says_how_to_go_on(project: Path) -> None:
    result = run("pauper", "--input", "text=a")
    assert result.exit_code == 3
    assert "BudgetExceeded: pauper" in result.stderr
    run_id = result.stderr.split("stratum resume ")[1].split()[0]
    resumed = call("resume", run_id, "--usd", "0.5")
    assert resumed.exit_code == 0
    assert json.loads(resumed.stdout) == "Y"
    call("report", run_id, "-o", "run.html")
    assert f"raised by {getpass.getuser()} to $0.5<" in Path("run.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("limit", [("--usd", "nan"), ("--usd", "-1"), ("--tokens", "-5"), ("--ms", "0")])
def test_a_new_limit_that_makes_no_sense_is_wrong_usage(project: Path, limit: tuple[str, str]) -> None:
    run_id = run("pauper", "--input", "text=a").stderr.split("stratum resume ")[1].split()[0]
    refused = call("resume", run_id, *limit)
    assert refused.exit_code == 2
    assert "pass a" in refused.stderr


def test_a_flow_that_raises_shows_its_error_and_can_be_resumed(project: Path) -> None:
    failed = run("broken", "--input", "text=a")
    said = failed.stderr.splitlines()
    assert failed.exit_code == 1
    assert "stratum resume" in said[-1] and said[-2].startswith("2 steps completed")
    trace = said[said.index("Traceback (most recent call last):") + 1 : -2]
    assert [line.split('"')[1] for line in trace if line.startswith("  File ")] == [str(FLOWS)]
    assert trace[-1] == "LookupError: a"
    told = run("broken", "--input", "text=a", "--json")
    assert json.loads(told.stdout)["error"] == "LookupError: a"
    assert told.stderr.endswith("LookupError: a\n")
    listed = call("runs").stdout
    assert re.search(r"^[0-9a-f]{12}  failed      \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00  broken$", listed, re.MULTILINE)
    audit = call("audit").stdout.splitlines()
    assert (audit[-2].endswith(", all passing"), audit[-1]) == (True, "Run failed: LookupError: a")


def test_a_flow_whose_file_was_moved_can_be_resumed_by_saying_where_it_is(project: Path) -> None:
    (project / "before.py").write_text(FLOWS.read_text(encoding="utf-8"))
    call("run", "before.py:pauper", "--input", "text=a")
    run_id = call("runs").stdout.split()[0]
    (project / "before.py").rename(project / "after.py")
    lost = call("resume", run_id, "--usd", "0.5")
    assert (lost.exit_code, "say where it is with --flow" in " ".join(lost.stderr.split())) == (2, True)
    found = call("resume", run_id, "--usd", "0.5", "--flow", "after.py:pauper")
    assert json.loads(found.stdout) == "Y"


def test_a_run_that_is_gone_on_with_is_shown_with_what_it_did_before(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [part for answer in (ANSWER, REJECTED, REJECTED) for part in ("--arguments", answer)]
    with serve_process(tmp_path / "bill", *answers) as server:
        monkeypatch.setenv("STRATUM_BASE_URL", server.url)
        failed = run("judge_all", "--input", 'texts=["a", "b"]').stderr.splitlines()
        run_id = call("runs").stdout.split()[0]
        again = call("resume", run_id).stderr.splitlines()
        sent = len((tmp_path / "bill").read_text().splitlines())
    assert sent == 3
    assert again[-5:] == failed[-5:]  # the error, "2 steps completed, 0.0... of 1.000 USD", and how to go on
    assert any(line.startswith("2 steps completed, 0.0") for line in again)
    costs = [
        call("query", f"SELECT sum({column}) AS cost FROM {view}", "--csv").stdout
        for column, view in (("cost_picousd", "steps WHERE kind = 'infer'"), ("counted_picousd", "reservations"))
    ]
    assert costs[0] == costs[1] != "cost\r\n0\r\n"  # a step that failed twice counts once


@pytest.mark.parametrize("command", ["report", "trace"])
def test_a_file_that_cannot_be_written_is_wrong_usage(project: Path, command: str) -> None:
    run("judge_all", "--input", "texts=[]")
    refused = call(command, "-o", str(project / "none" / "file"))
    assert refused.exit_code == 2
    assert "none/file: No such file or directory; name another file with -o" in refused.stderr
    assert call(command, "-o", str(project / "file")).stdout == f"{project / 'file'}\n"
    assert (project / "file").read_bytes()


def test_the_audit_is_data_for_other_tools(project: Path) -> None:
    run("judge_all", "--input", 'texts=["a", "b"]')
    traces = [json.loads(line) for line in call("audit", "--jsonl").stdout.splitlines()]
    assert [trace["function"] for trace in traces] == ["judge", "loud", "judge", "loud"]
    told = json.loads(call("audit", "--json").stdout)
    assert (told["traces"], told["in_doubt"]) == (traces, [])


def test_queries_are_sql_over_views_and_cannot_write(project: Path) -> None:
    run("judge_all", "--input", 'texts=["a", "b"]')
    rows = [
        json.loads(line)
        for line in call(
            "query", "SELECT function, count(*) AS n FROM traces GROUP BY 1 ORDER BY 1", "--json"
        ).stdout.splitlines()
    ]
    assert rows == [{"function": "judge", "n": 2}, {"function": "loud", "n": 2}]
    assert call("query", "SELECT 1 AS one", "--csv").stdout.split() == ["one", "1"]
    refused = call("query", "DELETE FROM _runs")
    assert refused.exit_code == 4
    assert "only SELECT" in refused.stderr


def test_asking_a_journal_that_is_not_there_says_so(project: Path) -> None:
    for command in (["audit"], ["runs"], ["query", "SELECT 1"], ["resume", "abc"], ["journal", "verify"]):
        result = call(*command)
        assert result.exit_code == 4, command
        assert "no journal here yet; run something first" in result.stderr
    assert not (project / ".stratum").exists()


def test_an_empty_file_is_no_journal_yet_and_another_file_none_at_all(project: Path) -> None:
    (project / "empty.db").touch()
    (project / "notes.txt").write_text("not a database, but long enough to be taken for one" * 20)
    for name, said in (("empty.db", "no journal here yet"), ("notes.txt", "the file is damaged")):
        refused = call("runs", "--journal", name)
        assert refused.exit_code == 4
        assert said in refused.stderr


def test_an_unknown_run_is_said_to_be_unknown(project: Path) -> None:
    run("judge_all", "--input", "texts=[]")
    result = call("audit", "zzzz")
    assert result.exit_code == 2
    assert "`stratum runs` lists what is" in result.stderr


def test_calls_outside_of_a_flow_are_listed_and_audited_and_a_session_without_any_is_neither(project: Path) -> None:
    none = call("audit")
    assert (none.exit_code, "no journal here yet" in none.stderr) == (4, True)
    assert run("judge_all", "--input", 'texts=["a"]').exit_code == 0
    assert call("run", f"{FLOWS}:judge", "--input", "text=a").exit_code == 0
    listed = [line.split(maxsplit=3) for line in call("runs", "--limit", "2").stdout.splitlines()]
    assert [(state, name) for _, state, _, name in listed] == [
        ("succeeded", "(calls outside a flow)"),
        ("succeeded", "judge_all"),
    ]
    assert call("audit").stdout.startswith("Step judge#1: 1 attempt, 0.0")
    assert call("report", "-o", "run.html").exit_code == 0
    resumed = call("resume", listed[0][0])
    assert (resumed.exit_code, "make them in a @flow" in resumed.stderr) == (2, True)


def test_a_run_that_is_over_is_not_told_to_be_gone_on_with_when_it_is_cancelled(project: Path) -> None:
    run("judge_all", "--input", "texts=[]")
    run_id = call("runs").stdout.split()[0]
    result = call("cancel", run_id)
    assert (result.exit_code, f"{run_id} is not at work (succeeded)" in result.stderr) == (2, True)


def test_a_lost_answer_to_a_call_outside_of_a_flow_is_reconciled_too(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_process(tmp_path / "bill", "--arguments", ANSWER, "--fault", "500", "--fault-every", "1") as server:
        monkeypatch.setenv("STRATUM_BASE_URL", server.url)
        monkeypatch.setattr("stratum.engine.line.FIRST_BACKOFF_S", 0.0)
        assert call("run", f"{FLOWS}:judge", "--input", "text=a").exit_code == 1
    run_id = call("runs").stdout.split()[0]
    reservations = [line.split()[0] for line in call("reconcile", run_id).stdout.splitlines()]
    unnamed = call("reconcile", run_id, "--usd", "0")
    assert (unnamed.exit_code, reservations[0] in unnamed.stderr) == (2, True)
    for reservation in reservations:
        assert call("reconcile", run_id, reservation, "--usd", "0").exit_code == 0
    assert "In doubt" not in call("audit").stdout
    assert "nothing of" in call("reconcile", run_id, reservations[0], "--usd", "0").stderr


def test_the_journals_own_commands_check_export_and_accept(project: Path) -> None:
    run("judge_all", "--input", 'texts=["a"]')
    assert call("journal", "verify").stdout.endswith("0 faults\n")
    exported = call("journal", "export").stdout.splitlines()
    assert all(json.loads(line)["record"] for line in exported)
    assert call("journal", "accept").exit_code == 0
    assert call("journal", "prune", "--days", "30").stdout == "0 runs pruned, 0 records made smaller\n"


def test_doctor_names_the_provider_and_the_journal(project: Path) -> None:
    result = call("doctor")
    assert result.exit_code == 0
    assert "house-model" in result.stdout
    assert ".stratum/stratum.db, will be made" in result.stdout
    assert all(finding["ok"] for finding in json.loads(call("doctor", "--json").stdout))


def test_doctor_finds_a_service_tier_that_there_is_none_of(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATUM_SERVICE_TIER", "batch")
    result = call("doctor")
    assert result.exit_code == 1
    assert "a batch is a job of up to 24 hours" in result.stdout


@contextmanager
def waiting() -> Generator[subprocess.Popen[str]]:
    """A flow in a process of its own, which goes on until it is stopped."""
    command = [sys.executable, "-m", "stratum", "run", f"{FLOWS}:endless", "--input", "text=a"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            assert process.stdout.readline() == "waiting\n"
            yield process
        finally:
            process.kill()  # it waits for ever where a test fails before it has stopped it


def test_ctrl_c_stops_cleanly_and_the_run_can_be_resumed(project: Path) -> None:
    with waiting() as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "2 steps completed" in said
    assert "stratum resume" in said
    assert "cancelled" in call("runs").stdout


@pytest.mark.parametrize("named", [True, False])
def test_a_flow_is_stopped_from_another_process_and_can_be_gone_on_with(project: Path, named: bool) -> None:
    with waiting() as process:
        (run,) = [line.split()[0] for line in call("runs").stdout.splitlines() if " running " in line]
        asked = call("cancel", *([run] if named else ["--all"]), "--because", "it spends too much")
        _, said = process.communicate(timeout=60)
    assert asked.exit_code == 0
    assert f"{run}: asked to stop" in asked.stdout
    assert process.returncode == 1
    assert "it spends too much" in said
    assert f"stratum resume {run}" in said
    assert "cancelled" in call("runs").stdout
    assert call("cancel", run).exit_code == 2
    assert call("cancel", "--all").stderr.startswith("0 asked to stop")


def test_a_hold_stops_what_another_process_runs_and_lets_nothing_start(project: Path) -> None:
    with waiting() as process:
        (run_id,) = [line.split()[0] for line in call("runs").stdout.splitlines() if " running " in line]
        placed = call("hold", "the key has leaked")
        _, said = process.communicate(timeout=60)
    assert placed.exit_code == 0
    assert f"{run_id}: asked to stop" in placed.stdout
    assert process.returncode == 1
    assert "on hold: the key has leaked" in said
    refused = run("judge_all", "--input", 'texts=["a"]')
    assert refused.exit_code == 1
    assert "OnHold: judge_all: the project is on hold since " in refused.stderr
    assert "the key has leaked; `stratum hold --lift` lifts it" in refused.stderr
    assert call("resume", run_id).exit_code == 1
    doctor = call("doctor")
    assert doctor.exit_code == 1
    assert "on hold" in doctor.stdout and "the key has leaked" in doctor.stdout
    assert call("hold").stdout.startswith("on hold since ")
    assert call("hold", "--lift").stdout.startswith("lifted; on hold since ")
    assert call("hold").stdout == "no hold\n"
    assert call("hold", "--lift").stdout == "there was no hold\n"
    assert run("judge_all", "--input", 'texts=["a"]').exit_code == 0


def test_a_project_can_be_held_before_anything_ran(project: Path) -> None:
    assert call("hold", "not yet").stderr.startswith("on hold; 0 asked to stop")
    assert "OnHold" in run("judge_all", "--input", 'texts=["a"]').stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["why", "--lift"], "lifted without a reason"), ([" "], "say why: whoever is refused reads it")],
)
def test_a_hold_has_to_say_why(project: Path, arguments: list[str], says: str) -> None:
    result = call("hold", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize("arguments", [[], ["abc", "--all"]])
def test_what_is_to_be_cancelled_has_to_be_said(project: Path, arguments: list[str]) -> None:
    result = call("cancel", *arguments)
    assert result.exit_code == 2
    assert "name one run, or pass --all" in result.stderr


def test_a_lost_answer_is_listed_and_reconciled_with_the_bill(
    project: Path, tmp_path: Path, house_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_process(tmp_path / "bill", "--arguments", ANSWER, "--fault", "500", "--fault-every", "1") as server:
        monkeypatch.setenv("STRATUM_BASE_URL", server.url)
        monkeypatch.setattr("stratum.engine.line.FIRST_BACKOFF_S", 0.0)
        failed = run("judge_all", "--input", 'texts=["a"]')
    monkeypatch.setenv("STRATUM_BASE_URL", house_model)
    assert failed.exit_code == 1
    run_id = failed.stderr.split("stratum resume ")[1].split()[0]
    listed = call("reconcile", run_id).stdout.splitlines()
    assert len(listed) == 5
    audit = call("audit", run_id).stdout.splitlines()
    assert audit[-6].startswith("In doubt: 0.00")
    assert audit[-6].endswith(f"`stratum reconcile {run_id} RESERVATION --usd ...`")
    assert [line.strip() for line in audit[-5:]] == listed
    assert all(line.endswith("judge#1, attempt 1, house-model: status 500") for line in listed), listed
    data = call("audit", run_id, "--jsonl")
    assert "In doubt" in data.stderr and "In doubt" not in data.stdout
    told = json.loads(call("audit", run_id, "--json").stdout)["in_doubt"]
    assert [(each["reservation"], each["usd"] > 0) for each in told] == [(line.split()[0], True) for line in listed]
    assert call("report", run_id, "-o", "run.html").exit_code == 0
    report = Path("run.html").read_text(encoding="utf-8")
    assert f"stratum reconcile {run_id} RESERVATION" in report and listed[0].split()[0] in report
    no_number = call("reconcile", run_id, listed[0].split()[0], "--usd", "nan")
    assert (no_number.exit_code, call("reconcile", run_id).stdout.splitlines()) == (2, listed)
    booked = call("reconcile", run_id, listed[0].split()[0], "--usd", "0.001")
    assert booked.stdout.endswith("0.001 USD booked\n")
    assert call("reconcile", run_id).stdout.splitlines() == listed[1:]
    assert listed[0].split()[0] not in call("audit", run_id).stdout
    again = call("reconcile", run_id, listed[0].split()[0], "--usd", "0.001")
    assert again.exit_code == 2
    assert "name one of" in again.stderr
    assert json.loads(call("resume", run_id, "--json").stdout)["output"] == ["Y"]
    assert call("journal", "verify").exit_code == 0


PLAN = """
goal: judge a text
input: {text: str}
steps:
- {id: "1", fn: judge, inputs: {text: $.input.text}}
- {id: "2", fn: loud, inputs: {verdict: $.steps.1.output}}
"""


def test_a_plan_is_checked_against_the_steps_it_names_and_shown(project: Path) -> None:
    (project / "plan.yaml").write_text(PLAN)
    checked = call("plan", "check", "plan.yaml", "--steps", str(FLOWS))
    assert re.fullmatch(r"2 steps, ~1 tool call, estimated \$0\.00\d*, digest [0-9a-f]{64}\n", checked.stdout)
    assert checked.stderr == ""
    bounded = PLAN + "budget: {usd: 0.25}\nestimate: {calls: 900, picousd: 1}\n"
    (project / "bounded.yaml").write_text(bounded)
    for command in ("check", "show"):
        told = call("plan", command, "bounded.yaml", "--steps", str(FLOWS)).stdout
        assert re.search(r"~1 tool call, estimated \$0\.00\d*, at most \$0\.25", told), told
    (project / "typo.yaml").write_text("steps: [{id: a, fn: juge}, {id: b, intent: Look around}]")
    assert call("plan", "check", "typo.yaml", "--steps", str(FLOWS)).stderr == (
        'step a, "juge", is left to an agent; did you mean "judge"?\nstep b, "Look around", is left to an agent\n'
    )
    shown = call("plan", "show", "plan.yaml", "--steps", str(FLOWS)).stdout
    assert '{ id: "2", fn: "loud", output: str, depends_on: ["1"] }' in shown
    assert "~1 tool call, estimated $0.00" in shown
    assert not (project / ".stratum").exists()


def test_everything_wrong_with_a_plan_is_told_at_once(project: Path) -> None:
    (project / "plan.yaml").write_text(
        PLAN.replace("$.steps.1.output", "$.steps.3.output").replace("$.input.text", "$.input.txet")
    )
    result = call("plan", "check", "plan.yaml", "--steps", str(FLOWS))
    assert result.exit_code == 2
    assert "txet" in result.stderr
    assert "did you mean" in result.stderr
    assert result.stderr.count("\n  - ") >= 2


@pytest.fixture
def without_provider(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == "xllamacpp" else real(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    for name in ("STRATUM_BASE_URL", "STRATUM_MODEL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("without_provider")
def test_what_calls_no_model_runs_without_a_provider() -> None:
    result = run("loud", "--input", 'verdict={"label": "x", "score": 1}')
    assert (result.exit_code, json.loads(result.stdout)) == (0, "X")


@pytest.mark.usefixtures("without_provider")
def test_what_calls_one_is_told_that_there_is_none(house_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = run("judge", "--input", "text=a")
    assert (alone.exit_code, Path(".stratum").exists()) == (5, False)
    assert "no model to call" in alone.stderr and "set OPENAI_API_KEY" in alone.stderr
    flow = run("judge_all", "--input", 'texts=["a"]')
    assert flow.exit_code == 5
    assert "no model to call" in flow.stderr and "set OPENAI_API_KEY" in flow.stderr
    (resume,) = re.findall(r"stratum (resume \w+)", flow.stderr)
    monkeypatch.setenv("STRATUM_BASE_URL", house_model)
    monkeypatch.setenv("STRATUM_MODEL", "house-model")
    assert json.loads(call(*resume.split()).stdout) == ["Y"]


def dry(*arguments: str) -> Result:
    result = call("run", *arguments, "--dry-run")
    assert not Path(".stratum").exists()
    return result


def test_a_dry_run_says_what_would_be_reserved(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5. Of every call that a flow will make, without making it, and without a key."""
    monkeypatch.delenv("STRATUM_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("STRATUM_MODEL", "gpt-4o")
    result = dry(f"{FLOWS}:judge_all", "--input", 'texts=["a", "b"]')
    assert result.exit_code == 0
    assert result.stdout.count("judge asks gpt-4o of openai with at most ") == 2
    assert result.stdout.splitlines()[-1].startswith("the whole budget of 1.000 USD affords the first attempts, 0.00")
    (one,) = json.loads(dry(f"{FLOWS}:judge", "--input", "text=a", "--json").stdout)["calls"]
    assert (one["function"], one["attempts"], one["fits"]) == ("judge", 2, None)
    assert 0 < one["least_usd"] < one["usd"] < 0.02


def test_a_dry_run_of_what_no_budget_affords_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATUM_BASE_URL")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    result = dry(f"{FLOWS}:pauper", "--input", "text=a", "--model", "gpt-4o")
    assert result.exit_code == 3
    assert "does not afford the first attempts" in result.stdout


def test_a_dry_run_of_what_asks_no_model_says_that_it_reserves_nothing_and_why(project: Path) -> None:
    step = dry(f"{FLOWS}:loud", "--input", 'verdict={"label": "x", "score": 1}')
    assert step.exit_code == 0
    assert step.stdout.startswith("nothing is reserved: loud is a function that asks no model; ")
    Path("plan.yaml").write_text(
        "budget: {usd: 1}\nsteps: [{id: a, command: [ls]}, {id: b, intent: Look}, {id: c, command: [ls]}]",
        encoding="utf-8",
    )
    plan = dry("plan.yaml")
    assert plan.stdout == (
        "nothing is reserved: none of its 3 steps asks a model (2 command, 1 agent); "
        "what an agent takes is booked once it is known\n"
    )
    assert plan.stderr == "nothing was sent\n"
    told = json.loads(dry("plan.yaml", "--json").stdout)
    assert (told["calls"], told["nothing_because"]) == ([], plan.stdout.partition(": ")[2].strip())


def test_a_dry_run_overlooks_no_judge_and_no_plan_within(project: Path) -> None:
    Path("plan.yaml").write_text(
        """
        plans:
          asks: {steps: [{id: x, kind: infer, intent: Sum up, output: str}]}
          lists: {steps: [{id: x, command: [ls]}]}
        steps:
        - {id: a, command: [ls], ensure: the list is complete}
        - {id: b, fn: asks}
        - {id: c, fn: lists}
        """,
        encoding="utf-8",
    )
    assert dry("plan.yaml").stdout.splitlines() == [
        "step a is judged in plain English, by a model if there is one: not known yet",
        "step b runs a plan of its own that asks a model: not known yet",
    ]


def test_a_dry_run_knows_no_more_than_can_be_known(project: Path) -> None:
    refused = dry(f"{FLOWS}:looks", "--input", "text=a")
    assert refused.exit_code == 2
    assert "depends on it" in refused.stderr
    assert "not known before it runs" in refused.stderr
    Path("plan.yaml").write_text(PLAN + "- {id: '3', fn: judge, inputs: {text: $.steps.2.output}}\n", encoding="utf-8")
    plan = dry("plan.yaml", "--steps", str(FLOWS), "--input", "text=a")
    assert "judge asks house-model" in plan.stdout
    assert "step 3 is given what an earlier step returns: not known yet" in plan.stdout


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    context = click.Context(stratum)
    for name, listed in stratum.commands.items():
        _, command, _ = stratum.resolve_command(context, [name])
        assert command is not None
        assert command.get_short_help_str(limit=100) == listed.get_short_help_str(limit=100)


def test_the_list_of_commands_loads_none_of_them() -> None:
    script = (
        "import sys; from stratum.cli import stratum; stratum(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    listed, _, loaded = ended.stdout.rpartition("\nsys ")
    assert "  audit " in listed
    assert "stratum.cli.exit_codes" in loaded
    assert [name for name in loaded.split() if name.endswith("_command")] == []


def test_a_mistyped_command_is_told_which_was_meant() -> None:
    result = call("aduit")
    assert result.exit_code == 2
    assert "'audit'" in result.stderr


def test_a_shell_completes_names_of_commands() -> None:
    for words, found in (("stratum pl", ["plan"]), ("stratum plan ", ["check", "diff", "discard", "edit", "show"])):
        environ = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_STRATUM_COMPLETE": "bash_complete"}
        result = CliRunner().invoke(stratum, [], prog_name="stratum", env=environ)
        assert result.stdout.split() == [f"plain,{name}" for name in found]
