"""The files that steps may change: patterns, and which of them can mean the same file."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratum.contracts.errors import PlanError
from stratum.contracts.plans.owned_files import MAX_STEPS, overlap, path_of, pattern_of, strays
from stratum.contracts.plans.text import load_plan
from stratum.contracts.registry import Registry


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("src/a.py", "./src//a.py", True),
        ("src", "src/a.py", False),
        ("src/", "src/", True),
        ("src/", "src/a.py", True),
        ("src/**", "src/a/b.py", True),
        ("**/*.py", "README.md", False),
        ("src/", "src/deep/a.py", True),
        ("src/*.py", "src/a*", True),
        ("src/*.py", "src/*.md", False),
        ("src/*.py", "src/deep/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("**/test_*.py", "src/*_test.py", True),
        ("**/test_?.py", "src/test_ab.py", False),
        ("*a*b*", "*b*a*", True),
        ("app/[id].tsx", "app/i.tsx", False),
        ("README.md", "readme.md", False),
        ("a", "ab", False),
        ("**", "anything/at/all", True),
    ],
)
def test_two_patterns_overlap_if_they_can_mean_the_same_file(one: str, other: str, same: bool) -> None:
    """CASES H36."""
    assert overlap(pattern_of(one), pattern_of(other)) is same
    assert overlap(pattern_of(other), pattern_of(one)) is same


parts = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "?b", "*b*", "**"])
patterns = st.lists(parts, min_size=1, max_size=4).map("/".join)
paths = st.lists(st.sampled_from(["a", "b", "ab", "ba", "abb"]), min_size=1, max_size=5).map("/".join)


def as_regex(pattern: str) -> str:
    written = {"*": "[^/]*", "?": "[^/]"}
    names = [
        "(?:[^/]+/)*" if name == "**" else "".join(written.get(each, each) for each in name) + "/"
        for name in pattern.split("/")
    ]
    return "".join(names)


@given(patterns, paths)
def test_a_pattern_means_what_the_same_regular_expression_does(pattern: str, path: str) -> None:
    assert overlap(pattern_of(pattern), path_of(path)) is bool(re.fullmatch(as_regex(pattern), f"{path}/"))


@given(patterns, patterns, paths)
def test_patterns_that_mean_one_path_overlap(one: str, other: str, path: str) -> None:
    if all(re.fullmatch(as_regex(pattern), f"{path}/") for pattern in (one, other)):
        assert overlap(pattern_of(one), pattern_of(other))


def test_what_stands_in_a_path_stands_for_itself() -> None:
    assert strays(["src/*.py", "src/a.py", "../up.py"], ["src/a*"]) == ["src/*.py", "../up.py"]
    assert strays(["a b/é.txt"], ["a ?/*.txt"]) == []


def plan(*steps: str) -> str:
    return "steps:\n" + "".join(f"- {{{step}}}\n" for step in steps)


def problems(text: str) -> list[str]:
    try:
        load_plan(text, Registry.of([]))
    except PlanError as error:
        return [f"{problem.path}: {problem.problem}; {problem.fix}" for problem in error.problems]
    return []


def test_steps_that_may_be_at_work_at_once_share_no_file() -> None:
    """CASES H36."""
    a, b = "id: a, fn: x, files: [src/auth.py, docs/]", "id: b, fn: y, files: [tests/, src/*.py]"
    (problem,) = problems(plan(a, b))
    assert problem == (
        '$.steps[1].files: step "a" may be at work at once and change the same file: "src/auth.py" and "src/*.py"; '
        "have one wait for the other: depends_on: [a]"
    )
    assert problems(plan(a, f"{b}, depends_on: [a]")) == []
    between = "id: c, fn: z, depends_on: [a]"
    assert problems(plan(a, between, f"{b}, depends_on: [c]")) == [], "it waits for it, if not directly"
    assert problems(plan(a, "id: b, fn: y, files: [tests/]")) == []
    assert problems(plan(a, "id: b, fn: y")) == [], "who declares none is not compared"


def test_where_an_id_is_there_twice_the_others_are_named_all_the_same() -> None:
    twice = ["id: a, fn: x"] * 3
    told = problems(plan(*twice, "id: b, fn: x, files: [f]", "id: c, fn: x, files: [f]"))
    assert any('step "b" may be at work at once' in problem for problem in told)
    assert sum("is there twice" in problem for problem in told) == 2


def test_what_the_steps_of_an_inner_plan_change_is_its_own_step_s() -> None:
    inner = "plans: {inner: {steps: [{id: x, fn: x, files: [src/a.py]}]}}\n"
    (problem,) = problems(inner + plan("id: a, fn: inner", "id: b, fn: y, files: [src/]"))
    assert 'step "a" may be at work at once' in problem


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ("[/etc/passwd]", "not below the workspace"),
        ("[../up]", "not below the workspace"),
        ("[a/../../up]", "not below the workspace"),
        ("['~/x']", "not below the workspace"),
        ("['']", "names no file"),
        ("[./]", "names no file"),
        ('["a\\0b"]', "names no file"),
        ("src", "expected `array`"),
        ("[1]", "expected `str`"),
        (f"[{'a' * 300}]", "length <= 256"),
    ],
)
def test_what_is_no_path_below_the_workspace_is_refused(files: str, problem: str) -> None:
    (told,) = problems(plan(f"id: a, fn: x, files: {files}"))
    assert told.startswith("$.steps[0].files")
    assert problem in told


@pytest.mark.parametrize("kind", ["gate: {question: Q}", "kind: infer, intent: I, output: str"])
def test_only_agents_and_commands_change_files(kind: str) -> None:
    (told,) = problems(plan(f"id: a, {kind}, files: [a]"))
    assert "has no files" in told


def test_patterns_that_take_long_to_compare_are_refused_in_good_time() -> None:
    hostile = ["id: a, fn: x, files: ['" + "*a" * 120 + "']", "id: b, fn: x, files: ['" + "*b" * 120 + "']"]
    many = [f"id: s{n}, fn: x, files: ['{'*a' * 60}{n}']" for n in range(100)]
    assert problems(plan(*hostile)) == [] or "too long" in problems(plan(*hostile))[0]
    (told,) = problems(plan(*many))
    assert "too many, or their patterns too long" in told
    (told,) = problems(plan(*(f"id: s{n}, fn: x, files: [f{n}]" for n in range(MAX_STEPS + 1))))
    assert f"more than {MAX_STEPS:,} steps" in told
