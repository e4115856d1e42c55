"""A plan that has not begun: all that an approval covers, and the approval."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from stratum.contracts.plans.compiled_plan import CompiledPlan
from stratum.contracts.plans.diff import plan_changes
from stratum.contracts.plans.plan import ExecutionPlan
from stratum.contracts.plans.render import budget_line, in_full, plan_facts, programs, step_facts, step_name
from stratum.contracts.problem import visible
from stratum.engine.report.sections import MOST_TEXT, plan_graph
from stratum.engine.report.text import escaped
from stratum.ui.listing import moment
from stratum.ui.project import Sight
from stratum.ui.shell import Said, page

MOST_REVIEWED: Final = 400_000
"""Characters that can be approved here: nobody consents to what they cannot read."""
_HEADING: Final = 300


def review_page(sight: Sight, *, form: str, said: Said | None) -> str:
    """The plan with the ways to go on; `form` is what this visitor's forms carry."""
    title = sight.facts.name or sight.id
    # What is too long to be approved here is not shown at all: a part of it would be read for the whole.
    long = _size(sight) > MOST_REVIEWED
    parts = [
        *_head(sight, title),
        *(() if long else _plan(sight)),
        *_discard(sight, form),
        *_decision(sight, form, long=long),
    ]
    return page(
        title,
        parts,
        trail=[("/", "Runs")],
        stage=f"review {sight.digest}",
        version=sight.state,
        said=said,
    )


def _head(sight: Sight, title: str) -> Iterator[str]:
    last = sight.versions[-1]
    by = f" by {escaped(last.by, most=200)}" if last.by else ""
    yield f'<div class="head"><h1>{escaped(title, most=MOST_TEXT)}</h1><p class="run">run <code>{escaped(sight.id)}</code> · '
    yield f"proposed{by}, {moment(sight.run.started_at)}</p></div>"
    if sight.compiled is None:
        return
    plan = sight.compiled.plan
    figures = [(sight.state, "state"), (f"{len(plan.steps):,}", "steps")]
    figures += [(part, "") for part in budget_line(plan.estimate, plan.budget).split(", ") if part]
    if plan.budget is None:
        figures.append(("no limit", "budget"))
    yield '<ul class="chips">'
    for number, (value, name) in enumerate(figures):
        mark = f' class="mark {escaped(value)}"' if number == 0 else ""
        yield f"<li{mark}>{escaped(value)}{f' {name}' if number == 1 else ''}{' of budget' if name == 'budget' else ''}</li>"
    yield "</ul>"


def _size(sight: Sight) -> int:
    started, proposed = sight.past.started, sight.past.proposed
    assert started is not None and proposed is not None, "a plan's run begins so"
    return len(bytes(proposed.plan)) + len(bytes(started.inputs))


def _plan(sight: Sight) -> Iterator[str]:
    if sight.compiled is None:
        yield f'<section class="note"><h2>This plan cannot be shown</h2><pre tabindex="0">{escaped(sight.problem, most=20_000)}</pre></section>'
        return
    yield from _changes(sight)
    yield from _programs(sight.compiled)
    if inputs := sight.past.inputs:
        yield '<section><h2>Its inputs</h2><p class="hint">They are part of what is approved.</p>'
        yield from _facts(f"{visible(name)[1:-1]}: {in_full(value)}" for name, value in inputs.items())
        yield "</section>"
    yield from plan_graph(sight.facts)
    yield from _steps(sight.compiled, prefix="")
    told: set[str] = set()
    waiting = dict(sight.compiled.plans)
    while waiting:
        name, inner = waiting.popitem()
        told.add(name)
        waiting |= {other: plan for other, plan in inner.plans.items() if other not in told}
        yield f'<section class="inner"><h2>Plan {escaped(visible(name))}</h2>'
        yield from _facts(plan_facts(inner))
        yield "</section>"
        yield from _steps(inner, prefix=f"{name}/")


def _changes(sight: Sight) -> Iterator[str]:
    if len(sight.versions) < 2:
        return
    earlier, last = (
        msgspec.json.decode(bytes(version.plan), type=ExecutionPlan)
        for version in (sight.versions[-2], sight.versions[-1])
    )
    changes = plan_changes(earlier, last)
    if not changes:
        return
    by = sight.versions[-1].by
    yield f'<section class="note"><h2>What {escaped(by or "the last edit", most=200)} changed</h2><ul class="changes">'
    yield from (f"<li><code>{escaped(change)}</code></li>" for change in changes)
    yield "</ul></section>"


def _programs(compiled: CompiledPlan) -> Iterator[str]:
    found = list(programs(compiled))
    if found:
        yield '<section class="note"><h2>It runs these programs</h2><ul class="programs">'
        yield from (f"<li><code>{escaped(visible(shlex.join(argv))[1:-1])}</code></li>" for argv in found)
        yield "</ul></section>"


def _steps(compiled: CompiledPlan, *, prefix: str) -> Iterator[str]:
    if not prefix:
        facts = [line for line in plan_facts(compiled) if not line.startswith("goal: ")]
        long = len(compiled.plan.goal) > MOST_TEXT
        yield '<section><h2>In full</h2><p class="hint">Everything that is approved.</p>'
        yield from _facts(plan_facts(compiled) if long else facts)
        yield "</section>"
    yield f"<section><h2>{'Its steps' if prefix else 'Steps'}</h2>"
    for number, step in enumerate(compiled.plan.steps):
        # A step that calls nothing by name is headed by what is to be done, which then need not be said twice.
        by_intent = not step.fn and bool(step.intent) and len(step.intent) <= _HEADING
        heading = visible(step.intent)[1:-1] if by_intent else step_name(step)[1:-1]
        told = (line for line in step_facts(compiled, number) if not (by_intent and line.startswith("intent: ")))
        yield f'<article class="step" id="step-{escaped(prefix + step.id)}"><h3><span class="id">{escaped(step.id)}</span> '
        yield f'<span class="fn">{escaped(heading)}</span> <span class="kind">{compiled.kinds[number]}</span></h3>'
        yield from _facts(told)
        yield "</article>"
    yield "</section>"


def _facts(lines: Iterable[str]) -> Iterator[str]:
    """`name: what`, a line each."""
    pairs = [line.partition(": ") for line in lines]
    if not pairs:
        return
    yield '<dl class="facts">'
    for name, _, what in pairs:
        yield f"<div><dt>{escaped(name)}</dt><dd>{escaped(what)}</dd></div>" if what else _said_alone(name)
    yield "</dl>"


def _said_alone(sentence: str) -> str:
    return f'<div class="alone"><dt>also</dt><dd>{escaped(sentence)}</dd></div>'


def _discard(sight: Sight, form: str) -> Iterator[str]:
    yield (
        '<section aria-labelledby="d"><h2 id="d">Discard it</h2>'
        f'<form method="post" action="/runs/{escaped(sight.id)}/discard"><input type="hidden" name="form" value="{form}">'
        f'<input type="hidden" name="digest" value="{escaped(sight.digest)}">'
        '<label for="because">Why, for the record</label><input id="because" name="because" autocomplete="off">'
        '<button class="danger">Discard the plan</button></form>'
        '<p class="hint">It stays in the journal, and can no longer be edited, approved or started.</p></section>'
    )


def _decision(sight: Sight, form: str, *, long: bool) -> Iterator[str]:
    run, short = escaped(sight.id), sight.digest[:12]
    edit = f'<a class="button" href="/runs/{run}/edit">Edit</a>' if sight.compiled is not None else ""
    yield '<div class="decision" role="region" aria-label="Approval">'
    if sight.policy:
        yield f'<p class="hint">Your policy: {escaped(sight.policy, most=2000)}</p>'
    if sight.state == "approved" and sight.policy:
        yield f"<p>Approved by your policy. An agent goes on when it next calls; at a terminal, <code>stratum resume {run}</code>.</p>{edit}"
    elif sight.state == "approved":
        yield (
            f"<p>Approved. An agent goes on when it next calls; at a terminal, <code>stratum resume {run}</code>.</p>"
            f'<form method="post" action="/runs/{run}/revoke"><input type="hidden" name="form" value="{form}">'
            f'<input type="hidden" name="digest" value="{sight.digest}"><button>Take the approval back</button>{edit}</form>'
        )
    elif sight.compiled is None:
        yield "<p>It can only be approved once it can be shown.</p>"
    elif long:
        yield (
            "<p>This plan is too long to be read on a page. Read it with "
            f"<code>stratum plan show {run} --as details</code>, and approve it with <code>stratum approve {run}</code>.</p>{edit}"
        )
    else:
        yield (
            f'<form method="post" action="/runs/{run}/approve"><input type="hidden" name="form" value="{form}">'
            f'<input type="hidden" name="digest" value="{sight.digest}"><p>Digest <code>{short}</code>: exactly this plan'
            f"{' with these inputs' if sight.past.inputs else ''}, nothing else.</p>"
            f'<button class="main">Approve</button>{edit}</form>'
        )
    yield "</div>"
