"""requirements.toml and the tests agree: every row names what shows it, and every test that names a row is named there.

A row is shown by tests that name it in their docstring (`CASES A14.`, `BUDGETS cases 4 and 5`), or says in a sentence what it
waits for. The lines by which the project is judged name tests or commands.
"""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SHARED = ROOT.parent / "shared"
ROWS: dict[str, Any] = tomllib.loads((TESTS / "requirements.toml").read_text())


@functools.cache
def documented() -> dict[str, str]:
    """Every test function of the project as `path::name`, with its docstring."""
    return dict(_documented())


def _documented() -> Iterator[tuple[str, str]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                yield f"{path.relative_to(ROOT).as_posix()}::{node.name}", ast.get_docstring(node) or ""


def named_rows(docstring: str) -> Iterator[tuple[str, str]]:
    """(table, row) for every row that a docstring names."""
    for sentence in re.findall(r"CASES ([^.:]*)", docstring):
        for row in re.findall(r"\b[A-H]\d+\b", sentence):
            yield "cases", row
    for sentence in re.findall(r"BUDGETS (?:rules? [\d, ]+, )?(?:cases? )?(\d[\d, and]*)", docstring):
        for row in re.findall(r"\d+", sentence):
            yield "budgets", row


def claimed() -> dict[tuple[str, str], set[str]]:
    """Row to the tests whose docstrings name it."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for test, docstring in documented().items():
        for row in named_rows(docstring):
            found[row].add(test)
    return dict(found)


CLAIMED = claimed()


@pytest.mark.parametrize(("table", "row"), [(table, row) for table in ("cases", "budgets") for row in ROWS[table]])
def test_a_row_is_shown_by_the_tests_that_name_it(table: str, row: str) -> None:
    shown_by = ROWS[table][row]
    if isinstance(shown_by, str):
        assert (table, row) not in CLAIMED, "it waits no longer: list the tests"
        assert len(shown_by) > 10, "say what it waits for"
        return
    assert set(shown_by) == CLAIMED.get((table, row), set())


def test_no_test_names_a_row_that_does_not_exist() -> None:
    assert {row for row in CLAIMED if row[1] not in ROWS[row[0]]} == set()


@pytest.mark.parametrize("line", sorted(ROWS["judged"]))
def test_a_line_by_which_the_project_is_judged_names_what_exists(line: str) -> None:
    existing = documented()
    shown_by = ROWS["judged"][line]
    assert shown_by, line
    if isinstance(shown_by, str):
        assert len(shown_by) > 10, "say what it waits for"
        return
    for one in shown_by:
        if one.startswith("python -m "):
            assert (ROOT / (one.split()[2].replace(".", "/") + ".py")).exists(), one
        elif one.startswith("make "):
            assert f"\n{one.split()[1]}:" in (ROOT / "Makefile").read_text(), one
        else:
            assert one in existing, one


@pytest.mark.skipif(not SHARED.exists(), reason="the specification is not part of the project")
def test_the_rows_are_the_specifications_own() -> None:
    cases = re.findall(r"^\| ([A-H]\d+) \|", (SHARED / "CASES.md").read_text(), flags=re.MULTILINE)
    assert sorted(ROWS["cases"]) == sorted(cases)
    budgets = re.findall(r"^\|(\d+)\|", (SHARED / "BUDGETS.md").read_text(), flags=re.MULTILINE)
    assert sorted(ROWS["budgets"]) == sorted(budgets)
