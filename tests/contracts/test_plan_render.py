"""Plans as text: SEED.md's form byte for byte, and nothing that could look like something else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stratum.contracts.budget import Budget
from stratum.contracts.contract import contract
from stratum.contracts.plans.check import compile_plan
from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.mermaid import render_mermaid
from stratum.contracts.plans.plan import Estimate, ExecutionPlan
from stratum.contracts.plans.render import budget_line, dollars, given_inputs, render_details, render_plan, render_table
from stratum.contracts.registry import Registry

CENT = 10**10


def compiled(document: dict[str, Any], *contracts: str) -> CompiledPlan:
    """A plan whose contracts, one field each, are registered under the names it uses."""
    classes: list[type[Any]] = [
        contract(type(name, (), {"__annotations__": {"text": str}, "__module__": __name__})) for name in contracts
    ]
    return compile_plan(msgspec.convert(document, ExecutionPlan), Registry.of([], classes))


def test_the_refactoring_plan_is_printed_as_published() -> None:
    """SEED.md, "No plan, no review, no rollback"."""
    plan = compiled(
        {
            "steps": [
                {"id": "1", "fn": "read_payment_module", "output": "SourceAnalysis"},
                {"id": "2", "fn": "identify_refactor_targets", "output": "RefactorPlan", "depends_on": ["1"]},
                {"id": "3", "fn": "apply_refactors", "output": "RefactoredCode", "depends_on": ["2"]},
                {"id": "4", "fn": "update_tests", "output": "TestSuite", "depends_on": ["3"]},
                {
                    "id": "5",
                    "fn": "validate",
                    "output": "ValidationResult",
                    "depends_on": ["4"],
                    "ensure": "all tests pass, no type errors",
                },
            ]
        },
        *("SourceAnalysis", "RefactorPlan", "RefactoredCode", "TestSuite", "ValidationResult"),
    )
    assert (
        render_plan(plan)
        == """\
ExecutionPlan {
  steps: [
    { id: "1", fn: "read_payment_module", output: SourceAnalysis },
    { id: "2", fn: "identify_refactor_targets", output: RefactorPlan, depends_on: ["1"] },
    { id: "3", fn: "apply_refactors", output: RefactoredCode, depends_on: ["2"] },
    { id: "4", fn: "update_tests", output: TestSuite, depends_on: ["3"] },
    { id: "5", fn: "validate", output: ValidationResult, depends_on: ["4"],
      ensure: "all tests pass, no type errors" },
  ]
}"""
    )


def test_the_rate_limiting_plan_is_printed_as_published() -> None:
    """SEED.md, "What It Looks Like in Practice": with its repair, which the short form does not show."""
    plan = compiled(
        {
            "goal": "Add rate limiting to the API",
            "steps": [
                {"id": "1", "fn": "read_routing_config", "output": "RouteMap"},
                {
                    "id": "2",
                    "fn": "design_middleware",
                    "output": "MiddlewareSpec",
                    "inputs": {"routes": "$.steps.1.output"},
                },
                {"id": "3", "fn": "implement_middleware", "output": "MiddlewareCode", "depends_on": ["2"]},
                {
                    "id": "4",
                    "fn": "write_tests",
                    "output": "TestSuite",
                    "inputs": {"code": "$.steps.3.output.text"},
                    "ensure": "all routes covered, health checks excluded",
                    "repair": "3",
                },
            ],
            "estimate": {"calls": 6, "picousd": 4 * CENT - 3 * 10**9},
        },
        *("RouteMap", "MiddlewareSpec", "MiddlewareCode", "TestSuite"),
    )
    assert (
        render_plan(plan)
        == """\
ExecutionPlan {
  steps: [
    { id: "1", fn: "read_routing_config", output: RouteMap },
    { id: "2", fn: "design_middleware", output: MiddlewareSpec, depends_on: ["1"] },
    { id: "3", fn: "implement_middleware", output: MiddlewareCode, depends_on: ["2"] },
    { id: "4", fn: "write_tests", output: TestSuite, depends_on: ["3"],
      ensure: "all routes covered, health checks excluded" },
  ],
  budget: "~6 tool calls, estimated $0.04"
}"""
    )


EVERYTHING: dict[str, Any] = {
    "goal": "Ship it",
    "contracts": {"Report": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}},
    "input": {"path": "str", "level": {"enum": ["low", "high"]}},
    "output": "$.steps.report.output",
    "budget": {"usd": 1.5, "ms": 90000, "tokens": 5000},
    "fail_fast": False,
    "max_in_flight": 4,
    "estimate": {"calls": 1, "picousd": 0},
    "plans": {
        "inner": {"steps": [{"id": "x", "fn": "look", "output": {"type": "array", "items": {"type": "string"}}}]}
    },
    "steps": [
        {
            "id": "test",
            "command": {"argv": ["pytest", "-q", "$.input.path"], "cwd": "api", "env": {"CI": "1"}},
            "on_fail": "look",
        },
        {"id": "look", "intent": "Find out why", "inputs": {"n": {"a": [1]}}, "model": ["gpt-5", "gpt-4o"]},
        {
            "id": "report",
            "kind": "infer",
            "intent": "Report",
            "output": "Report",
            "when": "steps.test.output.exit_code == 0",
            "ensure": ["result.text != ''", {"command": ["ls", "a b"]}, {"judge": "it is short"}],
            "retries": 2,
            "repair": "test",
            "repeat": {"until": "len(result.text) < 9", "limit": 3, "score": "-len(result.text)"},
            "budget": {"usd": 0.25},
        },
        {
            "id": "ask",
            "depends_on": ["report"],
            "gate": {"question": "Ship?", "revise": "report", "max_rounds": 2, "timeout_s": 60},
        },
        {"id": "sub", "fn": "inner", "depends_on": ["ask"]},
        {"id": "sh", "command": {"argv": ["echo $1 | wc"], "shell": True}, "files": ["out/", "*.md"]},
        {"id": "last", "gate": {"question": "Done?"}, "depends_on": ["sh"]},
        {
            "id": "loop",
            "fn": "look",
            "repeat": {"until": "result == 1", "limit": 2, "accumulate": {"field": "a", "key": "b", "dry": 2}},
            "budget": {"ms": 500},
        },
        {"id": "join", "fn": "look", "depends_on": ["sub", "last", "loop"], "require": 2},
    ],
}


def test_the_details_show_everything_that_an_approval_covers() -> None:
    plan = compiled(EVERYTHING)
    assert (
        render_details(plan)
        == f"""\
digest: {plan.digest}
goal: "Ship it"
budget: ~1 tool call, estimated $0.00, at most $1.50, at most 90 s, at most 5,000 tokens
after a failure: what does not depend on it is finished
at once: 4 at most
input "path": "str"
input "level": {{"enum":["low","high"]}}
returns: "$.steps.report.output"
contract "Report": {{"properties":{{"text":{{"type":"string"}}}},"required":["text"],"type":"object"}}

step test (command): "pytest"
  output: CommandResult
  run: "pytest -q '$.input.path'"
  in: "api"
  with: "CI=1"
  if it fails: step look stands in

step look (agent): "Find out why"
  intent: "Find out why"
  after: test
  input "n": {{"a": [1]}}
  model: "gpt-5", "gpt-4o"

step report (infer): "Report"
  intent: "Report"
  after: test
  output: Report
  only when: "steps.test.output.exit_code == 0"
  ensure, by expression: "result.text != ''"
  ensure, by running: "ls 'a b'"
  ensure, by a judge: "it is short"
  retries: 2
  a violation is sent to step test
  repeated until "len(result.text) < 9", 3 times at most, keeping the best by "-len(result.text)"
  budget: at most $0.25

step ask (gate): "gate"
  after: report
  may fail: what comes after it can do without
  output: GateDecision
  asks: "Ship?"
  revising starts over from step report, 2 times at most
  without an answer in 60 s: kill

step sub (plan): "inner"
  after: ask
  may fail: what comes after it can do without

step sh (command): "echo $1 | wc"
  may fail: what comes after it can do without
  output: CommandResult
  run by sh: "'echo $1 | wc'"
  in: "."
  may change: "out/", "*.md"

step last (gate): "gate"
  after: sh
  may fail: what comes after it can do without
  output: GateDecision
  asks: "Done?"

step loop (agent): "look"
  may fail: what comes after it can do without
  repeated until "result == 1", 2 times at most
  the "a" of all times are kept together, told apart by "b"; ended by 2 in a row without a new one
  budget: at most 0.5 s

step join (agent): "look"
  after: sub, last, loop; begins if 2 of them succeeded

plan "inner"

  step x (agent): "look"
    output: "array"
"""[:-1]
    )


def test_the_table_has_a_line_for_each_step() -> None:
    assert (
        render_table(compiled(EVERYTHING))
        == """\
id      kind     fn              output         after            ensure
------  -------  --------------  -------------  ---------------  --------------------------
test    command  "pytest"        CommandResult
look    agent    "Find out why"                 test
report  infer    "Report"        Report         test             expression, command, judge
ask     gate     "gate"          GateDecision   report
sub     plan     "inner"                        ask
sh      command  "echo $1 | wc"  CommandResult
last    gate     "gate"          GateDecision   sh
loop    agent    "look"
join    agent    "look"                         sub, last, loop"""
    )


def test_long_cells_of_the_table_are_cut() -> None:
    table = render_table(compiled({"steps": [{"id": "1", "fn": "f" * 128}]}))
    assert max(map(len, table.splitlines())) < 80


def test_mermaid_draws_every_kind_and_every_way_back() -> None:
    assert (
        render_mermaid(compiled(EVERYTHING))
        == """\
flowchart TD
  s0[["test: pytest"]]
  s1("look: Find out why")
  s2(["report: Report"])
  s3{{"ask: Ship?"}}
  s4[/"sub: inner"/]
  s5[["sh: echo #36;1 #124; wc"]]
  s6{{"last: Done?"}}
  s7("loop: look")
  s8("join: look")
  s0 --> s1
  s0 --> s2
  s2 --> s3
  s3 --> s4
  s5 --> s6
  s4 -- 2 --> s8
  s6 -- 2 --> s8
  s7 -- 2 --> s8
  s0 -. on failure .-> s1
  s2 -. repair .-> s0
  s3 -. revise .-> s2"""
    )


HOSTILE = 'x"\u202e} ],\n  budget: "free"\x00<script>'


@pytest.mark.parametrize("render", [render_plan, render_table, render_details, render_mermaid])
def test_what_cannot_be_seen_is_escaped_and_nothing_breaks_out_of_its_quotes(render: Any) -> None:
    plan = compiled(
        {"goal": HOSTILE, "steps": [{"id": "1", "fn": HOSTILE, "intent": HOSTILE, "ensure": {"judge": HOSTILE}}]}
    )
    text: str = render(plan)
    assert text.replace("\n", "").isprintable()
    assert '\n  budget: "free"' not in text
    if render is render_mermaid:
        assert "<" not in text


def test_what_a_plan_is_given_is_shown_whole_with_nothing_hidden_in_it() -> None:
    assert given_inputs({"folder": "src", "names": ["a\u202eb", None], HOSTILE: 1}) == [
        'given "folder": "src"',
        'given "names": ["a\\u202eb", null]',
        'given "x\\"\\u202e} ],\\n  budget: \\"free\\"\\u0000<script>": 1',
    ]


def test_a_plan_that_is_run_from_many_plans_is_shown_once() -> None:
    """Rendered wherever it is used, this one would have 2^40 steps."""
    plans = {f"p{n}": {"steps": [{"id": "1", "fn": f"p{n + 1}"}, {"id": "2", "fn": f"p{n + 1}"}]} for n in range(40)}
    plans["p40"] = {"steps": [{"id": "1", "fn": "work"}]}
    assert render_details(compiled({"steps": [{"id": "1", "fn": "p0"}], "plans": plans})).count('plan "p') == 41


@pytest.mark.parametrize(
    ("picousd", "text"),
    [
        (0, "$0.00"),
        (CENT, "$0.01"),
        (4 * CENT - 1, "$0.04"),
        (CENT // 2, "$0.01"),
        (10**9, "$0.001"),
        (123456 * CENT, "$1,234.56"),
    ],
)
def test_dollars_are_rounded_to_cents_unless_those_show_nothing(picousd: int, text: str) -> None:
    assert dollars(picousd) == text


def test_the_budget_line_is_empty_without_estimate_and_budget() -> None:
    assert budget_line(None, None) == ""
    assert budget_line(Estimate(calls=1200, picousd=CENT), Budget(usd=0)) == (
        "~1,200 tool calls, estimated $0.01, at most $0.00"
    )
