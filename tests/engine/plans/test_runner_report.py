"""What counts as passing tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stratum.contracts.expressions.expression import Expression
from stratum.contracts.plans.plan import Command
from stratum.engine.plans.doers.command import CommandRun, run_command
from stratum.engine.plans.doers.command_evidence import command_source
from stratum.engine.plans.doers.runner_report import not_passing, runner_report


@pytest.mark.parametrize(
    ("output", "counts"),
    [
        ("===== 3 passed in 0.12s =====", (3, 0)),
        ("3 passed, 1 failed, 2 errors in 12.00s", (3, 3)),
        ("\x1b[32m\x1b[1m312 passed\x1b[0m, 2 skipped in 61.02s (0:01:01)", (312, 0)),
        ("2 skipped in 0.01s", (0, 0)),
        ("3 deselected in 0.01s", (0, 0)),
        ("===== no tests ran in 0.00s =====", (0, 0)),
        ("===== 12 tests collected in 0.10s =====", (0, 0)),
        ("3/12 tests collected (9 deselected) in 0.10s", (0, 0)),
        ("Ran 4 tests in 0.001s\n\nOK", (4, 0)),
        ("Ran 4 tests in 0.001s\n\nFAILED (failures=1, errors=1, skipped=1)", (1, 2)),
        ("Ran 0 tests in 0.000s\n\nOK", (0, 0)),
        ("Ran 0 tests in 0.000s\n\nNO TESTS RAN", (0, 0)),
        ("Tests:       1 failed, 4 passed, 5 total", (4, 1)),
        ("No tests found, exiting with code 0", (0, 0)),
        ("      Tests  2 failed | 7 passed (9)", (7, 2)),
        ("test result: ok. 2 passed; 0 failed; 0 ignored\n\ntest result: ok. 0 passed; 0 failed; 0 ignored", (2, 0)),
        ("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured", (0, 0)),
        ("  5 passing (12ms)\n  1 failing", (5, 1)),
        ("ok  \texample.com/a\t0.012s\n?   \texample.com/b\t[no test files]", (1, 0)),
        ("ok  \texample.com/a\t0.012s [no tests to run]", (0, 0)),
        ("# tests 3\n# pass 2\n# fail 1", (2, 1)),
    ],
)
def test_a_report_is_read(output: str, counts: tuple[int, int]) -> None:
    report = runner_report(f"collecting ...\n{output}\n")
    assert report is not None
    assert (report.passed, report.failed) == counts


@pytest.mark.parametrize("output", ["", "done", "3 passed the exam", "All checks passed!", "I ran 3 tests"])
def test_other_output_is_no_report(output: str) -> None:
    assert runner_report(output) is None


@pytest.mark.parametrize(
    ("command", "output", "problem"),
    [
        ("pytest -q", "3 passed in 0.1s", ""),
        ("pytest -q", "no tests ran in 0.1s", "says that no test was run"),
        ("pytest -qq", "...  [100%]", "no report that counts tests"),
        ("python -m pytest", "", "no report that counts tests"),
        ("/usr/bin/uv run pytest", "", "no report that counts tests"),
        ("npm test", "", "no report that counts tests"),
        ("cargo test", "", "no report that counts tests"),
        ("make check", "4 passed, 1 failed in 0.1s", "counts 1 failed"),
        ("pytest --version", "pytest 9.0", ""),
        ("ruff check .", "All checks passed!", ""),
        ("true", "", ""),
        ("git commit -m pytest", "", ""),
    ],
)
def test_exit_status_zero_is_no_pass_where_tests_are_run_and_none_passed(
    command: str, output: str, problem: str
) -> None:
    assert problem in not_passing(command.split(), output)
    assert bool(problem) is bool(not_passing(command.split(), output))


async def texts(words: list[str], workspace: Path) -> list[str]:
    arguments = ", ".join(map(repr, words))

    def forget(command: Command, run: CommandRun) -> None:
        pass

    source = command_source(lambda command: run_command(command, workspace=workspace, key="k", timeout_s=60), forget)
    found = await Expression.compile(f"command_succeeds({arguments})").check({}, {"command_succeeds": source})
    return [violation.detail for violation in found]


async def test_a_condition_on_real_test_runs(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "def test_passes(): pass\ndef test_logout_cascade(): assert False, 'still there'\n"
    )
    runner = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_a.py"]
    (failed,) = await texts(runner, tmp_path)
    assert failed.startswith("exit status 1: ")
    assert "FAILED test_a.py::test_logout_cascade - AssertionError: still there" in failed
    assert failed.endswith("s")
    (listed,) = await texts([*runner, "--collect-only"], tmp_path)
    assert listed.startswith("exit status 0, but its pytest report says that no test was run")


async def test_what_was_run_is_kept_as_evidence(tmp_path: Path) -> None:
    kept: list[tuple[Command, CommandRun]] = []
    source = command_source(
        lambda command: run_command(command, workspace=tmp_path, key="run"),
        lambda command, run: kept.append((command, run)),
    )
    condition = Expression.compile('command_succeeds("sh", "-c", "echo $STRATUM_STEP_KEY; echo bad >&2; exit 4")')
    (violation,) = await condition.check({}, {"command_succeeds": source})
    assert violation.detail == "exit status 4: bad"
    ((command, run),) = kept
    assert command.argv[0] == "sh"
    assert (run.result.stdout, run.result.exit_code) == ("run\n", 4)


def test_the_runners_own_words_are_the_ones_that_are_read() -> None:
    """unittest of this Python, not of the table above."""
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "test.no_such"], capture_output=True, text=True, check=False
    )
    report = runner_report(done.stderr)
    assert report is not None
    assert (report.runner, report.passed, report.failed) == ("unittest", 0, 1)
