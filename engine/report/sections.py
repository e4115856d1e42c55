"""The parts of a page about a run: what the report is made of, and the live page too.

No part has a style or a script of its own, so that the strictest Content-Security-Policy lets all of it be shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from stratum.contracts.audit import flags_of
from stratum.contracts.money import format_usd
from stratum.contracts.trace import Attempt
from stratum.engine.report.facts import RunFacts, StepFacts
from stratum.engine.report.graph_picture import graph_picture
from stratum.engine.report.text import escaped, seconds

MOST_STEPS: Final = 2000
"""With details of their own; a browser has to hold them all."""
MOST_TEXT: Final = 2000
"""Characters of an input or an output."""
_SCROLLS: Final = 600


def run_head(facts: RunFacts, title: str) -> Iterator[str]:
    said = [f"run <code>{escaped(facts.run)}</code>", *([f"approved by {escaped(facts.by)}"] if facts.by else [])]
    said += [f"limit {escaped(raised)}" for raised in facts.raises]
    yield f'<header><h1>{escaped(title, most=MOST_TEXT)}</h1><p class="run">{" · ".join(said)}</p>'
    retries = sum(bool(attempt.violations) for step in facts.steps.values() for attempt in step.tries)
    retries += sum(step.reruns for step in facts.steps.values())
    done = sum(step.state == "done" for step in facts.steps.values())
    figures = [
        (facts.state, "state"),
        (f"{done} of {len(facts.steps)}", "steps done"),
        (seconds(facts.elapsed_ms), "running time"),
        (f"${format_usd(facts.picousd)}", _of_limit(facts)),
        (str(retries), "retries"),
    ]
    yield '<dl class="figures">'
    for number, (value, name) in enumerate(figures):
        state = f' class="{escaped(facts.state)}"' if number == 0 else ""
        yield f"<div><dt>{escaped(name)}</dt><dd{state}>{escaped(value)}</dd></div>"
    yield "</dl>"
    if facts.error:
        yield f'<p class="error">{escaped(facts.error, most=MOST_TEXT)}</p>'
    yield "</header>"


def _of_limit(facts: RunFacts) -> str:
    limit = facts.limits.get("usd")
    return "spent" if limit is None else f"spent of ${format_usd(limit)}"


def plan_graph(facts: RunFacts) -> Iterator[str]:
    picture = graph_picture(
        facts.before,
        names={step.id: step.name for step in facts.steps.values()},
        states={step.id: step.state for step in facts.steps.values()},
        sent_back=dict.fromkeys((asked, first) for asked, first, _ in facts.repairs),
    )
    if picture:
        yield f'<section><h2>Plan</h2><div class="scroll">{picture}</div></section>'


def timeline(facts: RunFacts, steps: list[StepFacts]) -> Iterator[str]:
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
            f'<li><a href="#step-{escaped(step.id)}"><span class="name">{escaped(step.id)} <span class="fn">{escaped("" if step.name == step.id else step.name, most=200)}</span></span>'
            f"{bar(min(left, 99.6), min(width, 100 - min(left, 99.6)), state=step.state)}"
            f'<span class="took">{seconds(ended - began)}{cost}</span></a></li>'
        )
    yield "</ol></section>"


def bar(left: float, width: float, *, state: str) -> str:
    """A bar in its track, in percent of it; what it means is said in words beside it."""
    return (
        '<svg class="track" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{escaped(state)}" x="{left:.2f}" width="{width:.2f}" height="1"/></svg>'
    )


def repairs(facts: RunFacts) -> Iterator[str]:
    if not facts.repairs:
        return
    yield '<section><h2>Sent back</h2><ul class="repairs">'
    for asked, first, why in facts.repairs:
        yield f"<li>step <b>{escaped(asked)}</b> to step <b>{escaped(first)}</b>: {escaped(why, most=MOST_TEXT)}</li>"
    yield "</ul></section>"


def in_doubt(facts: RunFacts) -> Iterator[str]:
    if not facts.doubts:
        return
    picousd = sum(doubt.picousd for doubt in facts.doubts)
    yield f"<section><h2>In doubt</h2><p>${format_usd(picousd)} besides what is spent: these were sent, or may have been, and nobody knows what became of them. "
    yield f"Each counts in full until the provider's bill is looked at: <code>stratum reconcile {escaped(facts.run)} RESERVATION --usd ...</code></p><ul>"
    yield from (f"<li><code>{escaped(str(doubt), most=MOST_TEXT)}</code></li>" for doubt in facts.doubts[:MOST_STEPS])
    yield "</ul></section>"


def step_sections(steps: list[StepFacts]) -> Iterator[str]:
    yield "<section><h2>Steps</h2>"
    for step in steps[:MOST_STEPS]:
        yield from _step(step)
    if len(steps) > MOST_STEPS:
        yield f"<p>and {len(steps) - MOST_STEPS:,} more: <code>stratum audit</code> has them all</p>"
    yield "</section>"


def _step(step: StepFacts) -> Iterator[str]:
    open_ = " open" if step.state in ("failed", "cancelled") else ""
    state = escaped(step.state)
    cost = "cost unknown" if step.picousd is None else f"${format_usd(step.picousd)}"
    attempts = "" if not step.attempts else "1 attempt" if step.attempts == 1 else f"{step.attempts} attempts"
    told = " · ".join(part for part in (step.kind, step.model, attempts, cost if step.attempts else "") if part)
    yield (
        f'<details id="step-{escaped(step.id)}"{open_}><summary><span class="mark {state}">{state.replace("_", " ")}</span>'
        f'<span class="id">{escaped(step.id)}</span> <span class="fn">{escaped(step.name, most=MOST_TEXT)}</span>'
        f'<span class="told">{escaped(told)}</span></summary>'
    )
    if step.error:
        yield f'<p class="error">{escaped(step.error, most=MOST_TEXT)}</p>'
    if step.tries:
        yield '<div class="wide" tabindex="0" role="group" aria-label="attempts"><table><thead><tr>'
        yield "<th>attempt</th><th>took</th><th>tokens in / out</th><th>cost</th><th>verdict</th></tr></thead><tbody>"
        yield from map(_attempt, step.tries)
        yield "</tbody></table></div>"
    for name, value in (("inputs", step.inputs), ("output", step.output)):
        if value not in (None, {}, []):
            text = _json(value)
            # What may scroll can be reached with the keyboard.
            reached = ' tabindex="0"' if len(text) > _SCROLLS else ""
            yield f"<h3>{name}</h3><pre{reached}>{escaped(text)}</pre>"
    yield "</details>"


def _attempt(attempt: Attempt) -> str:
    usage = "" if attempt.usage is None else f"{attempt.usage.input_tokens:,} / {attempt.usage.output_tokens:,}"
    verdict = "<br>".join(escaped(violation.for_prompt) for violation in attempt.violations)
    verdict = verdict or "<br>".join(map(escaped, ("accepted", *flags_of([attempt]))))
    mark = "rejected" if attempt.violations else "accepted"
    estimated = " (estimated)" if attempt.estimated else ""
    return (
        f"<tr><td>{attempt.number}</td><td>{seconds(attempt.duration_ms)}</td><td>{usage}</td>"
        f'<td>${format_usd(attempt.picousd)}{estimated}</td><td class="{mark}">{verdict}</td></tr>'
    )


def _json(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}\n… {len(text) - MOST_TEXT:,} characters more"
