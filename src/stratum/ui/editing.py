"""A plan that has not begun, to be changed: as a form of what is most often changed, or as the YAML that `stratum plan edit` opens."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from stratum.contracts.plans.plan import Step
from stratum.engine.report.sections import MOST_TEXT
from stratum.engine.report.text import escaped
from stratum.ui.plan_fields import FORMS, fields_of
from stratum.ui.project import Sight
from stratum.ui.shell import Said, page


def edit_page(
    sight: Sight, text: str, *, form: str, digest: str, problems: Sequence[str] = (), said: Said | None = None
) -> str:
    """`text` is what is in the editor, of the plan of `digest`; `problems` is why it was not taken.

    In fields every character stays what it is, since it is sent back: elsewhere `escaped` makes invisible ones visible.
    """
    wrong = ' aria-invalid="true" aria-describedby="problems"' if problems else ""
    parts = [
        '<label for="text">Plan, as YAML</label>',
        '<p class="hint">Everything in it can be changed.',
        f' <a href="/runs/{escaped(sight.id)}/edit">Edit it in a form</a></p>',
        f'<textarea id="text" name="text" class="code" rows="28" spellcheck="false" autocapitalize="off" autocomplete="off"{wrong}>\n{escape(text)}</textarea>',
    ]
    return _page(sight, parts, form=form, digest=digest, problems=problems, said=said)


def fields_page(
    sight: Sight,
    sent: Mapping[str, str] | None = None,
    *,
    form: str,
    problems: Sequence[str] = (),
    said: Said | None = None,
) -> str:
    """The plan as a form, with what was typed into it, if that was not taken."""
    plan = sight.past.plan
    values = {**fields_of(plan), **(sent or {})}
    parts = [
        f'<p class="hint">What is most often changed. <a href="/runs/{escaped(sight.id)}/edit?as=yaml">Edit all of it, as YAML</a></p>',
        *_whole(values),
        *(part for number, step in enumerate(plan.steps) for part in _step(number, step, values)),
    ]
    return _page(sight, parts, form=form, digest=sight.digest, problems=problems, said=said)


def _page(
    sight: Sight, parts: Sequence[str], *, form: str, digest: str, problems: Sequence[str], said: Said | None
) -> str:
    title = sight.facts.name or sight.id
    run = escaped(sight.id)
    whole = [
        f'<h1>Edit the plan</h1><p class="run">{escaped(title, most=MOST_TEXT)} · run <code>{run}</code></p>',
        *_problems(problems),
        f'<form method="post" action="/runs/{run}/edit"><input type="hidden" name="form" value="{form}">',
        f'<input type="hidden" name="digest" value="{escaped(digest)}">',
        *parts,
        '<div class="decision saving"><p>What you save replaces the plan, and is to be approved anew.</p>',
        f'<p class="buttons"><button class="main">Save</button><a class="button" href="/runs/{run}">Leave it as it is</a></p></div></form>',
    ]
    return page("Edit", whole, trail=[("/", "Runs"), (f"/runs/{sight.id}", title)], stage="edit", said=said)


def _whole(values: Mapping[str, str]) -> Iterator[str]:
    yield '<fieldset class="step"><legend>The whole plan</legend>'
    yield _text("goal", "Goal", values)
    yield '<div class="row">'
    yield from _limits("", values)
    yield "</div></fieldset>"


def _step(number: int, step: Step, values: Mapping[str, str]) -> Iterator[str]:
    name = step.fn or (shlex.join(step.program.argv) if step.program is not None else "")
    yield f'<fieldset class="step"><legend><span class="id">{escaped(step.id)}</span> {escaped(name, most=200)}</legend>'
    yield _text(f"{number}.intent", "What is to be done", values)
    yield _text(f"{number}.question", "Question", values)
    conditions = [place for place in range(len(step.conditions) + 1) if f"{number}.ensure.{place}.text" in values]
    for place in conditions:
        at = f"{number}.ensure.{place}"
        label = "One more condition" if place == len(step.conditions) else f"Condition {place + 1}"
        yield f'<div class="row condition"><div>{_input(f"{at}.text", label, values)}</div><div>{_choice(f"{at}.form", "Checked as", values)}</div></div>'
    if f"{number}.retries" in values:
        yield f'<div class="row"><div>{_input(f"{number}.retries", "Retries", values, mode="numeric")}</div>'
        yield from _limits(f"{number}.", values)
        yield "</div>"
    taken_out = " checked" if f"{number}.remove" in values else ""
    yield (
        f'<label class="choice" for="f-{number}.remove"><input type="checkbox" id="f-{number}.remove" name="{number}.remove" value="yes"{taken_out}>'
        f"<span>Take step {escaped(step.id)} out</span></label></fieldset>"
    )


def _limits(prefix: str, values: Mapping[str, str]) -> Iterator[str]:
    for name, label in (("usd", "At most, USD"), ("seconds", "At most, seconds"), ("tokens", "At most, tokens")):
        yield f"<div>{_input(f'{prefix}{name}', label, values, mode='decimal')}</div>"


def _input(name: str, label: str, values: Mapping[str, str], *, mode: str = "text") -> str:
    if name not in values:
        return ""
    return (
        f'<label for="f-{name}">{escaped(label)}</label>'
        f'<input id="f-{name}" name="{name}" value="{escape(values[name])}" inputmode="{mode}" autocomplete="off" spellcheck="false">'
    )


def _text(name: str, label: str, values: Mapping[str, str]) -> str:
    if name not in values:
        return ""
    rows = min(12, 1 + values[name].count("\n") + len(values[name]) // 90)
    return (
        f'<label for="f-{name}">{escaped(label)}</label>'
        f'<textarea id="f-{name}" name="{name}" rows="{rows}">\n{escape(values[name])}</textarea>'
    )


def _choice(name: str, label: str, values: Mapping[str, str]) -> str:
    options = "".join(
        f'<option value="{form}"{" selected" if values.get(name) == form else ""}>{said}</option>'
        for form, said in FORMS.items()
    )
    return f'<label for="f-{name}">{escaped(label)}</label><select id="f-{name}" name="{name}">{options}</select>'


def _problems(problems: Sequence[str]) -> Iterator[str]:
    if not problems:
        return
    yield '<div id="problems" class="said badly" role="alert"><p>This plan is not valid; nothing was changed.</p><ul>'
    yield from (f"<li>{escaped(problem, most=1000)}</li>" for problem in problems)
    yield "</ul></div>"
