"""A plan that has not begun, to be changed: as the YAML that `stratum plan edit` opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stratum.engine.report.sections import MOST_TEXT
from stratum.engine.report.text import escaped
from stratum.ui.project import Sight
from stratum.ui.shell import Said, page


def edit_page(
    sight: Sight, text: str, *, form: str, digest: str, problems: Sequence[str] = (), said: Said | None = None
) -> str:
    """`text` is what is in the editor, of the plan of `digest`; `problems` is why it was not taken."""
    title = sight.facts.name or sight.id
    run = escaped(sight.id)
    wrong = ' aria-invalid="true" aria-describedby="problems"' if problems else ""
    parts = [
        f'<h1>Edit the plan</h1><p class="run">{escaped(title, most=MOST_TEXT)} · run <code>{run}</code></p>',
        *_problems(problems),
        f'<form method="post" action="/runs/{run}/edit"><input type="hidden" name="form" value="{form}">',
        f'<input type="hidden" name="digest" value="{escaped(digest)}">',
        '<label for="text">Plan, as YAML</label>',
        '<p class="hint" id="about">Steps, conditions and budgets: everything in it can be changed. What you save replaces the plan, and is to be approved anew.</p>',
        f'<textarea id="text" name="text" class="code" rows="28" spellcheck="false" autocapitalize="off" autocomplete="off"{wrong}>\n{escaped_whole(text)}</textarea>',
        f'<p class="buttons"><button class="main">Save</button><a class="button" href="/runs/{run}">Leave it as it is</a></p></form>',
    ]
    return page("Edit", parts, trail=[("/", "Runs"), (f"/runs/{sight.id}", title)], stage="edit", said=said)


def escaped_whole(text: str) -> str:
    """For a text area: every character stays what it is, since it is sent back."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _problems(problems: Sequence[str]) -> Iterator[str]:
    if not problems:
        return
    yield '<div id="problems" class="said badly" role="alert"><p>This plan is not valid; nothing was changed.</p><ul>'
    yield from (f"<li>{escaped(problem, most=1000)}</li>" for problem in problems)
    yield "</ul></div>"
