"""What changed between two plans."""

from __future__ import annotations

from stratum.contracts.plans.diff import plan_changes
from stratum.contracts.plans.text import read_plan

OLD = """
goal: Ship it
steps:
- {id: a, intent: Look, output: str, ensure: len(result) > 1}
- {id: b, command: [pytest, -q], depends_on: [a]}
- {id: c, intent: Write}
"""


def test_the_same_plan_has_no_changes_however_it_is_written() -> None:
    other = OLD.replace("ensure: len(result) > 1", "ensure: [{expr: len(result) > 1}]")
    assert plan_changes(read_plan(OLD), read_plan(other)) == []


def test_each_change_is_named_by_its_step_and_key() -> None:
    new = """
goal: Ship it twice
steps:
- {id: b, command: [pytest, -x], depends_on: [a]}
- {id: a, intent: Look, output: str, ensure: len(result) > 2, retries: 1}
- {id: d, intent: Tell}
"""
    assert plan_changes(read_plan(OLD), read_plan(new)) == [
        "~ goal: Ship it -> Ship it twice",
        '- step "c"',
        '~ step "b", command: {"argv":["pytest","-q"]} -> {"argv":["pytest","-x"]}',
        '~ step "a", ensure: [{"expr":"len(result) > 1"}] -> [{"expr":"len(result) > 2"}]',
        '~ step "a", retries: nothing -> 1',
        '+ step "d": {"intent":"Tell"}',
        '~ the steps\' order: "b", "a", "d"',
    ]


def test_what_cannot_be_seen_is_escaped() -> None:
    (change,) = plan_changes(read_plan(OLD), read_plan(OLD.replace("Write", '"W\\u202erite"')))
    assert "\u202e" not in change
