"""Questions to the visitor, each a form that fits its answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from stratum.engine.plans.questions import OpenQuestion
from stratum.engine.report.text import escaped

MOST_QUESTION: Final = 20_000
_BUTTONS: Final = 4
"""Options that are buttons; more of them, or longer ones, are a list to choose from."""
_LONG: Final = 32
_WORDS: Final = {"approve": "Approve", "revise": "Have it revised", "kill": "End the run"}


def question_id(question: OpenQuestion) -> str:
    """The id of a question's form in the page."""
    return f"ask-{question.step}-{question.round}"


def question_form(run: str, question: OpenQuestion, *, form: str, alive: bool) -> Iterator[str]:
    """The question with what answers it; without, where nobody is there to be answered."""
    name = escaped(question_id(question))
    yield f'<section class="ask" id="{name}" aria-labelledby="{name}-q"><h2 id="{name}-q">{escaped(question.question, most=MOST_QUESTION)}</h2>'
    yield f'<p class="hint">step {escaped(question.step)}{_deadline(question)}</p>'
    if question.seen:
        # What scrolls has to be reached by keyboard too.
        yield f'<pre class="seen" tabindex="0" role="region" aria-label="What there is to judge by">{escaped(question.seen)}</pre>'
    if not alive:
        yield f"<p>The process of this run is gone: <code>stratum resume {escaped(run)}</code> asks it again.</p></section>"
        return
    yield (
        f'<form method="post" action="/runs/{escaped(run)}/answer"><input type="hidden" name="form" value="{form}">'
        f'<input type="hidden" name="step" value="{escaped(question.step)}">'
        f'<input type="hidden" name="round" value="{question.round}">'
    )
    comment = (
        f'<label for="{name}-c">Comment{" (for a revision: what to change)" if "revise" in question.options else ""}</label>'
        f'<textarea id="{name}-c" name="comment" rows="2"></textarea>'
    )
    if question.options and _fit_buttons(question.options):
        yield comment
        yield from _buttons(question)
    elif question.options:
        yield from _choices(question, name)
        yield f'{comment}<button class="main">Answer</button>'
    else:
        yield from _value(question.type, name)
        yield f'{comment}<button class="main">Answer</button>'
    yield "</form></section>"


def _buttons(question: OpenQuestion) -> Iterator[str]:
    yield '<p class="buttons">'
    for number, option in enumerate(question.options):
        kind = ' class="main"' if number == 0 else ' class="danger"' if question.of_plan and option == "kill" else ""
        word = _WORDS.get(option, option) if question.of_plan else option
        yield f'<button{kind} name="value" value="{escaped(option)}">{escaped(word)}</button>'
    yield "</p>"


def _choices(question: OpenQuestion, name: str) -> Iterator[str]:
    yield f'<fieldset><legend class="unseen">{escaped(question.question, most=300)}</legend>'
    for number, option in enumerate(question.options, 1):
        # By its number: an option's text may hold what a form does not carry unchanged.
        yield (
            f'<label class="choice" for="{name}-{number}"><input type="radio" required id="{name}-{number}" name="choice" value="{number}">'
            f"<span>{escaped(option)}</span></label>"
        )
    yield "</fieldset>"


def _value(type_name: str, name: str) -> Iterator[str]:
    label = f'<label for="{name}-v">Answer'
    match type_name:
        case "bool":
            yield f'{label}</label><select id="{name}-v" name="value"><option value="true">yes</option><option value="false">no</option></select>'
        case "int":
            yield f'{label}, a whole number</label><input id="{name}-v" name="value" type="number" step="1" required>'
        case "float":
            yield f'{label}, a number</label><input id="{name}-v" name="value" type="number" step="any" required>'
        case "str" | "":
            yield f'{label}</label><textarea id="{name}-v" name="value" rows="3" required></textarea>'
        case _:
            yield f'{label}, as JSON: {escaped(type_name, most=200)}</label><textarea id="{name}-v" name="value" rows="4" required></textarea>'


def _deadline(question: OpenQuestion) -> str:
    return f", to be answered by {escaped(question.answer_by[:16].replace('T', ' '))} UTC" if question.answer_by else ""


def _fit_buttons(options: Sequence[str]) -> bool:
    return len(options) <= _BUTTONS and all(len(option) <= _LONG and option.isprintable() for option in options)
