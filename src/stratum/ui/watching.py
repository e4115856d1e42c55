"""A run that has begun: where it stands, what it asks, what it spends, and in the end its audit."""

from __future__ import annotations

from collections.abc import Iterator

from stratum.actors.ledger_state import ScopeState
from stratum.contracts.audit import audit_of, render_audit
from stratum.contracts.money import format_usd
from stratum.engine.report.sections import (
    MOST_TEXT,
    bar,
    in_doubt,
    plan_graph,
    repairs,
    run_head,
    step_sections,
    timeline,
)
from stratum.engine.report.text import escaped, seconds
from stratum.ui.asking import question_form
from stratum.ui.limits import STOPPED, way_to_raise
from stratum.ui.project import Sight
from stratum.ui.shell import Said, page

OVER = ("succeeded", "failed", "exhausted", "cancelled", "discarded")


def run_page(sight: Sight, *, form: str, said: Said | None = None) -> str:
    """The run; `form` is what this visitor's forms carry."""
    facts, title = sight.facts, sight.facts.name or sight.id
    steps = list(facts.steps.values())
    parts = [
        _region("head", run_head(facts, title)),
        f'<p id="summary" class="unseen" role="status" data-live>{escaped(_summary(sight))}</p>',
        _region("questions", _questions(sight, form), keyed=True),
        _region("output", _output(sight)),
        _region("budget", _budget(sight)),
        _region("graph", plan_graph(facts)),
        _region("timeline", timeline(facts, steps)),
        _region("back", repairs(facts)),
        _region("doubt", in_doubt(facts)),
        _region("steps", step_sections(steps)),
        _region("end", _end(sight, form)),
    ]
    over = sight.state in OVER
    # Without scripts the page loads itself anew; not under somebody's hands.
    reload_s = 0 if over or sight.questions else 5
    return page(
        title,
        parts,
        trail=[("/", "Runs")],
        stage="over" if over else "watch",
        said=said,
        reload_s=reload_s,
    )


def _region(name: str, parts: Iterator[str], *, keyed: bool = False) -> str:
    return f'<div id="{name}" data-live{" data-keyed" if keyed else ""}>{"".join(parts)}</div>'


def _summary(sight: Sight) -> str:
    steps = sight.facts.steps.values()
    done = sum(step.state in ("done", "skipped") for step in steps)
    failed = [step.id for step in steps if step.state == "failed"]
    several = len(sight.questions) > 1
    asked = f" {len(sight.questions)} question{'s wait' if several else ' waits'} for you." if sight.questions else ""
    return (
        f"{sight.state}: {done} of {len(steps)} steps done."
        + (f" Failed: {', '.join(failed[:5])}." if failed else "")
        + asked
    )


def _questions(sight: Sight, form: str) -> Iterator[str]:
    for question in sight.questions:
        yield from question_form(sight.id, question, form=form, alive=sight.alive)


def _output(sight: Sight) -> Iterator[str]:
    if sight.state == "succeeded" and sight.past.finished is not None:
        text = bytes(sight.past.finished.output).decode()
        if text != "null":
            yield f'<section aria-labelledby="o"><h2 id="o">Result</h2><pre tabindex="0">{escaped(text, most=MOST_TEXT)}</pre></section>'


def _budget(sight: Sight) -> Iterator[str]:
    scope = sight.past.ledger.scopes.get("")
    limits = {} if scope is None else sight.facts.limits
    if scope is None or not limits:
        return
    yield '<section aria-labelledby="b"><h2 id="b">Budget</h2><ul class="budget">'
    if "usd" in limits:
        yield _axis(scope.counted.picousd, limits["usd"], text=_money(scope, limits["usd"]))
    if "tokens" in limits:
        yield _axis(
            scope.counted.tokens, limits["tokens"], text=f"{scope.counted.tokens:,} of {limits['tokens']:,} tokens"
        )
    if "ms" in limits:
        used = sight.past.scope_used_ms[""]
        yield _axis(used, limits["ms"], text=f"{seconds(used)} of {seconds(limits['ms'])}")
    yield "</ul>"
    yield from way_to_raise(sight)
    yield "</section>"


def _money(scope: ScopeState, limit: int) -> str:
    parts = [f"${format_usd(scope.settled.picousd)} of ${format_usd(limit)} spent"]
    if scope.in_flight.picousd:
        parts.append(f"${format_usd(scope.in_flight.picousd)} held for calls under way")
    if scope.in_doubt.picousd:
        parts.append(f"${format_usd(scope.in_doubt.picousd)} in doubt")
    return ", ".join(parts)


def _axis(used: int, limit: int, *, text: str) -> str:
    share = 100 * used / limit if limit else 100 * bool(used)
    state = "failed" if share >= 100 else "asking" if share >= 80 else "running"
    return f"<li><span>{escaped(text)}</span>{bar(0, min(share, 100), state=state)}</li>"


def _end(sight: Sight, form: str) -> Iterator[str]:
    run = escaped(sight.id)
    if sight.alive and sight.resumable:
        yield (
            '<section aria-labelledby="c"><h2 id="c">Stop it</h2>'
            f'<form method="post" action="/runs/{run}/cancel"><input type="hidden" name="form" value="{form}">'
            '<label for="because">Why, for the record</label><input id="because" name="because" autocomplete="off">'
            '<button class="danger">Cancel the run</button></form><p class="hint">What is done stays done; it can be gone on with.</p></section>'
        )
    elif sight.state in STOPPED and sight.resumable:
        yield f'<p class="hint">Go on with it: <code>stratum resume {run}</code></p>'
    lines, reruns = audit_of(sight.records)
    if lines:
        yield f'<section aria-labelledby="a"><h2 id="a">Audit</h2><pre tabindex="0">{escaped(render_audit(lines, extra_retries=reruns))}</pre>'
        yield f'<p class="links"><a href="/runs/{run}/report">Report, to read and keep</a> <a href="/runs/{run}/audit.jsonl">Audit as JSON Lines</a></p></section>'
