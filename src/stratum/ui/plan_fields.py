"""A plan as the fields of a form, and what it becomes by what was typed into them.

The fields are what is most often changed; the rest of a plan is changed as YAML. What was not touched stays as it is, to the
byte: a form that is sent as it was shown changes no digest.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from stratum.contracts.budget import Budget
from stratum.contracts.plans.plan import ExecutionPlan, Step

MOST_STEPS: Final = 100
"""In a form: of more, nobody finds the one to change."""
FORMS: Final = {
    "expression": "expression",
    "judge": "plain English, by a judge",
    "command": "command that must exit with 0",
}
"""What a condition may be, as the form says it."""
_KEYS: Final = {"expression": "expr", "judge": "judge", "command": "command"}


def fields_of(plan: ExecutionPlan) -> dict[str, str]:
    """What the form shows, by name: `goal`, `usd`, `2.intent`, `2.ensure.0.text`; steps and conditions are numbered from 0.

    A text that a form would not send back as it is has no field.
    """
    found = {"goal": plan.goal, **_limits(plan.budget, "")}
    for number, step in enumerate(plan.steps):
        found |= {f"{number}.{name}": text for name, text in _step(step)}
    return {name: text for name, text in found.items() if text.replace("\n", "").replace("\t", "").isprintable()}


def edited(plan: ExecutionPlan, sent: Mapping[str, str]) -> dict[str, Any]:
    """The plan's document with what was changed in its fields; not checked.

    A step of which `N.remove` was sent is taken out: what waited for it then waits for what it waited for.
    """
    shown = fields_of(plan)
    changed = {name: sent[name] for name in shown if name in sent and sent[name] != shown[name]}
    document: dict[str, Any] = msgspec.to_builtins(plan)
    _put(document, "goal", changed.get("goal"))
    _put_limits(document, changed, "")
    for number, step in enumerate(plan.steps):
        written = document["steps"][number]
        for key in ("intent", "retries"):
            _put(written, key, changed.get(f"{number}.{key}"))
        if (question := changed.get(f"{number}.question")) is not None:
            written["gate"]["question"] = question
        _put_limits(written, changed, f"{number}.")
        if any(name.startswith(f"{number}.ensure.") for name in changed):
            written["ensure"] = list(_conditions(step, {**shown, **changed}, f"{number}.ensure."))
    for number in reversed(range(len(plan.steps))):
        if f"{number}.remove" in sent:
            document["steps"] = _without(document["steps"], number)
            document.pop("estimate", None)  # it was of that step, too
    return document


def _step(step: Step) -> Iterator[tuple[str, str]]:
    if step.intent or (step.program is None and step.gate is None):
        yield "intent", step.intent
    if step.gate is not None:
        yield "question", step.gate.question
        return
    yield "retries", "" if step.retries is None else str(step.retries)
    yield from _limits(step.budget, "").items()
    for number, condition in enumerate(step.conditions):
        yield f"ensure.{number}.form", condition.form
        yield f"ensure.{number}.text", condition.text
    yield f"ensure.{len(step.conditions)}.form", "expression"
    yield f"ensure.{len(step.conditions)}.text", ""


def _limits(budget: Budget | None, prefix: str) -> dict[str, str]:
    limits = budget or Budget()
    seconds = None if limits.ms is None else limits.ms / 1000
    values = {"usd": limits.usd, "seconds": seconds, "tokens": limits.tokens}
    return {f"{prefix}{name}": _number_shown(value) for name, value in values.items()}


def _number_shown(value: Any) -> str:
    return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)


def _put(document: dict[str, Any], key: str, text: str | None) -> None:
    if text is None:
        return
    document.pop(key, None)
    if text:
        document[key] = _number(text) if key == "retries" else text


def _put_limits(document: dict[str, Any], changed: Mapping[str, str], prefix: str) -> None:
    budget: dict[str, Any] = dict(document.get("budget", {}))
    for name, key in (("usd", "usd"), ("seconds", "ms"), ("tokens", "tokens")):
        text = changed.get(f"{prefix}{name}")
        if text is None:
            continue
        budget.pop(key, None)
        if text.strip():
            value = _number(text)
            budget[key] = value * 1000 if key == "ms" and not isinstance(value, str) else value
    document.pop("budget", None)
    if set(budget) - {"on_exhaustion"}:
        document["budget"] = budget


def _number(text: str) -> int | float | str:
    """The number; what is none stays a text, and is told with its place when the plan is checked."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _conditions(step: Step, fields: Mapping[str, str], prefix: str) -> Iterator[Any]:
    for number in range(len(step.conditions) + 1):
        text = fields.get(f"{prefix}{number}.text")
        if text is None:
            yield msgspec.to_builtins(step.conditions[number])
        elif text.strip():
            form = fields.get(f"{prefix}{number}.form", "")
            yield {_KEYS.get(form, form): _argv(text) if form == "command" else text}


def _argv(text: str) -> list[str] | str:
    try:
        return shlex.split(text)
    except ValueError:
        return text


def _without(steps: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    gone, left = steps[number], [*steps[:number], *steps[number + 1 :]]
    for step in left:
        before = step.get("depends_on", ())
        if gone["id"] in before:
            waits = [[other] if other != gone["id"] else gone.get("depends_on", ()) for other in before]
            step["depends_on"] = list(dict.fromkeys(each for several in waits for each in several))
    return left
