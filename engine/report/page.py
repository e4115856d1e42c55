"""The page: `report_page` puts a run's facts into one self-contained HTML document."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any, Final

import msgspec

from stratum.contracts.money import format_usd
from stratum.contracts.trace import Attempt
from stratum.engine.report.facts import RunFacts, StepFacts
from stratum.engine.report.graph_picture import graph_picture
from stratum.engine.report.style import STYLE

MOST_STEPS: Final = 2000
"""With details of their own; a browser has to hold them all."""
MOST_TEXT: Final = 2000
"""Characters of an input or an output."""


def report_page(facts: RunFacts) -> str:
    """The whole document. Everything that came from outside is escaped; nothing is fetched, nothing runs."""
    title = facts.name or facts.run
    steps = list(facts.steps.values())
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
            *_head(facts, title),
            *_graph(facts),
            *_timeline(facts, steps),
            *_repairs(facts),
            *_details(steps),
            "</body></html>\n",
        ]
    )


def _head(facts: RunFacts, title: str) -> Iterator[str]:
    yield f'<header><h1>{_text(title)}</h1><p class="run">run <code>{_text(facts.run)}</code>'
    yield f" · approved by {_text(facts.by)}</p>" if facts.by else "</p>"
    retries = sum(bool(attempt.violations) for step in facts.steps.values() for attempt in step.tries)
    retries += sum(step.reruns for step in facts.steps.values())
    done = sum(step.state == "done" for step in facts.steps.values())
    figures = [
        (facts.state, "state"),
        (f"{done} of {len(facts.steps)}", "steps done"),
        (_seconds(facts.elapsed_ms), "running time"),
        (f"${format_usd(facts.picousd)}", _of_limit(facts)),
        (str(retries), "retries"),
    ]
    yield '<dl class="figures">'
    for number, (value, name) in enumerate(figures):
        state = f' class="{_text(facts.state)}"' if number == 0 else ""
        yield f"<div><dd{state}>{_text(value)}</dd><dt>{_text(name)}</dt></div>"
    yield "</dl>"
    if facts.error:
        yield f'<p class="error">{_text(facts.error)}</p>'
    yield "</header>"


def _of_limit(facts: RunFacts) -> str:
    limit = facts.limits.get("usd")
    return "spent" if limit is None else f"spent of ${format_usd(limit)}"


def _graph(facts: RunFacts) -> Iterator[str]:
    picture = graph_picture(
        facts.before,
        names={step.id: step.name for step in facts.steps.values()},
        states={step.id: step.state for step in facts.steps.values()},
        sent_back=dict.fromkeys((asked, first) for asked, first, _ in facts.repairs),
    )
    if picture:
        yield f'<section><h2>Plan</h2><div class="scroll">{picture}</div></section>'


def _timeline(facts: RunFacts, steps: list[StepFacts]) -> Iterator[str]:
    begun = [step for step in steps if step.began_ms is not None][:MOST_STEPS]
    if not begun:
        return
    whole = max(facts.elapsed_ms, 1)
    yield '<section><h2>Timeline</h2><ol class="timeline">'
    for step in begun:
        began, ended = step.began_ms or 0, facts.elapsed_ms if step.ended_ms is None else step.ended_ms
        left, width = 100 * began / whole, max(100 * (ended - began) / whole, 0.4)
        cost = "" if not step.picousd else f" · ${format_usd(step.picousd)}"
        yield (
            f'<li><a href="#step-{_text(step.id)}"><span class="name">{_text(step.id)} <span class="fn">{_text("" if step.name == step.id else step.name)}</span></span>'
            f'<span class="track"><span class="bar {_text(step.state)}" style="left:{min(left, 99.6):.2f}%;width:{min(width, 100 - min(left, 99.6)):.2f}%"></span></span>'
            f'<span class="took">{_seconds(ended - began)}{cost}</span></a></li>'
        )
    yield "</ol></section>"


def _repairs(facts: RunFacts) -> Iterator[str]:
    if not facts.repairs:
        return
    yield '<section><h2>Sent back</h2><ul class="repairs">'
    for asked, first, why in facts.repairs:
        yield f"<li>step <b>{_text(asked)}</b> to step <b>{_text(first)}</b>: {_text(why)}</li>"
    yield "</ul></section>"


def _details(steps: list[StepFacts]) -> Iterator[str]:
    yield "<section><h2>Steps</h2>"
    for step in steps[:MOST_STEPS]:
        yield from _step(step)
    if len(steps) > MOST_STEPS:
        yield f"<p>and {len(steps) - MOST_STEPS:,} more: <code>stratum audit</code> has them all</p>"
    yield "</section>"


def _step(step: StepFacts) -> Iterator[str]:
    open_ = " open" if step.state in ("failed", "cancelled") else ""
    cost = "cost unknown" if step.picousd is None else f"${format_usd(step.picousd)}"
    attempts = "" if not step.attempts else "1 attempt" if step.attempts == 1 else f"{step.attempts} attempts"
    told = " · ".join(part for part in (step.kind, step.model, attempts, cost if step.attempts else "") if part)
    yield (
        f'<details id="step-{_text(step.id)}"{open_}><summary><span class="mark {_text(step.state)}">{_text(step.state)}</span>'
        f'<span class="id">{_text(step.id)}</span> <span class="fn">{_text(step.name)}</span>'
        f'<span class="told">{_text(told)}</span></summary>'
    )
    if step.error:
        yield f'<p class="error">{_text(step.error)}</p>'
    if step.tries:
        yield "<table><thead><tr><th>attempt</th><th>took</th><th>tokens in / out</th><th>cost</th><th>verdict</th></tr></thead><tbody>"
        yield from map(_attempt, step.tries)
        yield "</tbody></table>"
    for name, value in (("inputs", step.inputs), ("output", step.output)):
        if value not in (None, {}, []):
            yield f"<h4>{name}</h4><pre>{_text(_json(value))}</pre>"
    yield "</details>"


def _attempt(attempt: Attempt) -> str:
    usage = "" if attempt.usage is None else f"{attempt.usage.input_tokens:,} / {attempt.usage.output_tokens:,}"
    verdict = "<br>".join(_text(violation.for_prompt) for violation in attempt.violations) or "accepted"
    mark = "rejected" if attempt.violations else "accepted"
    estimated = " (estimated)" if attempt.estimated else ""
    return (
        f"<tr><td>{attempt.number}</td><td>{_seconds(attempt.duration_ms)}</td><td>{usage}</td>"
        f'<td>${format_usd(attempt.picousd)}{estimated}</td><td class="{mark}">{verdict}</td></tr>'
    )


def _seconds(milliseconds: int) -> str:
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _json(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}\n… {len(text) - MOST_TEXT:,} characters more"


def _text(text: str) -> str:
    """Escaped, and without what would turn the direction of the text around it."""
    shown = "".join(char if char.isprintable() or char == "\n" else f"\\u{ord(char):04x}" for char in text)
    return escape(shown, quote=True)
