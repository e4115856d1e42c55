"""`runner_report`: how many tests a test command says it ran. A run that collected nothing exits with 0 often enough.

Only what runners write about themselves at the end is read; a command that is no test runner has no such report.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec


class RunnerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a test runner reported."""

    runner: str
    passed: int
    failed: int = 0
    """Errors included."""


_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
_NOTHING: Final = (
    ("pytest", re.compile(r"^=* ?no tests (?:ran|collected)\b.*$", re.MULTILINE)),
    ("pytest", re.compile(r"^(?:=+ )?\d+(?:/\d+)? tests? collected\b.*$", re.MULTILINE)),
    ("unittest", re.compile(r"^(?:Ran 0 tests in |NO TESTS RAN\b).*$", re.MULTILINE)),
    ("jest", re.compile(r"^No tests found\b.*$", re.MULTILINE)),
    ("vitest", re.compile(r"^\s*No test files found\b.*$", re.MULTILINE)),
    ("go", re.compile(r"^(?:testing: warning: no tests to run|.*\[no tests? (?:files|to run)\]).*$", re.MULTILINE)),
)
"""Said where nothing was run, or only listed."""
_COUNTED: Final = (
    ("pytest", re.compile(r"^=* ?((?:\d+ [a-z]+(?:, )?)+) in [\d.:]+ ?s.*$", re.MULTILINE)),
    ("jest", re.compile(r"^Tests:\s+(.*\btotal)$", re.MULTILINE)),
    ("vitest", re.compile(r"^\s*Tests\s+(\d+ \w+.*\(\d+\))\s*$", re.MULTILINE)),
    ("cargo", re.compile(r"^test result: \w+\. (\d+ passed; \d+ failed;.*)$", re.MULTILINE)),
    ("mocha", re.compile(r"^\s*(\d+ passing(?: \(.*\))?(?:\n\s*\d+ (?:failing|pending))*)", re.MULTILINE)),
)
"""Said with counts, as `3 passed, 1 failed`; of several such lines, as of several crates, all count."""
_UNITTEST: Final = re.compile(r"^Ran (\d+) tests? in .*$", re.MULTILINE)
_UNITTEST_ENDED: Final = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$", re.MULTILINE)
_TAP: Final = re.compile(r"^(?:# |ℹ )(pass|fail) (\d+)$", re.MULTILINE)
_GO: Final = re.compile(r"^(ok|FAIL)\s+\S+\s+(?:\(cached\)|[\d.]+s)(?! \[no tests to run\]).*$", re.MULTILINE)
_COUNT: Final = re.compile(r"(\d+) (passed|passing|xpassed|failed|failing|errors?)\b")
_LAUNCHED: Final = re.compile(
    r"(?:(?:uv|poetry|pdm|hatch|rye|pipenv) run (?:-\S+ )*|(?:npx|bunx) |python[\d.]* (?:-\w+ )*-m )?"
    r"(?:(?:pytest|py\.test|nose2|unittest|jest|vitest|mocha|tox|nox)(?= |$)"
    r"|(?:go|cargo|npm|pnpm|yarn|bun|deno|mix|dotnet) (?:run )?test(?= |$))"
)
"""A known test runner, called by itself or through what launches it."""


def runner_report(output: str) -> RunnerReport | None:
    """The report in a command's output; `None` where there is none."""
    text = _ANSI.sub("", output).replace("\r\n", "\n")
    counted = _summaries(text) or _unittest(text) or _tap(text) or _go(text)
    if counted is not None:
        return counted
    for runner, nothing in _NOTHING:
        if nothing.search(text):
            return RunnerReport(runner=runner, passed=0)
    return None


def not_passing(argv: Sequence[str], output: str) -> str:
    """Why a command that exited with 0 does not show that tests pass; empty where it does, or runs no tests."""
    report = runner_report(output)
    if report is not None:
        if report.failed:
            return f"exit status 0, but its {report.runner} report counts {report.failed} failed"
        return "" if report.passed else f"exit status 0, but its {report.runner} report says that no test was run"
    return "exit status 0, but no report that counts tests: let its runner print one" if _runs_tests(argv) else ""


def _runs_tests(argv: Sequence[str]) -> bool:
    if "--help" in argv or "--version" in argv:
        return False
    return _LAUNCHED.match(" ".join([argv[0].rpartition("/")[2], *argv[1:]])) is not None


def _summaries(text: str) -> RunnerReport | None:
    for runner, pattern in _COUNTED:
        found = pattern.findall(text)
        counts = [count for summary in found for count in _COUNT.findall(summary)]
        if found and (counts or runner == "pytest"):
            return RunnerReport(
                runner=runner, passed=_sum(counts, "pass"), failed=_sum(counts, "fail") + _sum(counts, "error")
            )
    return None


def _unittest(text: str) -> RunnerReport | None:
    ran = [int(count) for count in _UNITTEST.findall(text)]
    if not any(ran):
        return None
    ended = " ".join(_UNITTEST_ENDED.findall(text))
    failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", ended)))
    skipped = sum(map(int, re.findall(r"skipped=(\d+)", ended)))
    return RunnerReport(runner="unittest", passed=max(0, sum(ran) - failed - skipped), failed=failed)


def _tap(text: str) -> RunnerReport | None:
    counts = {"pass": 0, "fail": 0}
    found = _TAP.findall(text)
    for name, count in found:
        counts[name] += int(count)
    return RunnerReport(runner="node", passed=counts["pass"], failed=counts["fail"]) if found else None


def _go(text: str) -> RunnerReport | None:
    packages = _GO.findall(text)
    if not packages:
        return None
    return RunnerReport(runner="go", passed=packages.count("ok"), failed=packages.count("FAIL"))


def _sum(counts: Sequence[tuple[str, str]], word: str) -> int:
    return sum(int(count) for count, name in counts if name.removeprefix("x").startswith(word))
