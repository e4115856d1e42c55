"""A run's limits, to be raised: what they are and what they are to be, and both once more before it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from stratum.contracts.budget import Budget
from stratum.engine.report.sections import MOST_TEXT
from stratum.engine.report.text import escaped, limit_shown
from stratum.ui.project import Sight
from stratum.ui.shell import Said, page

STOPPED: Final = ("interrupted", "failed", "exhausted", "cancelled")
_FIELDS: Final = {"usd": ("usd", "US dollars"), "ms": ("seconds", "seconds"), "tokens": ("tokens", "tokens")}
"""By the limit's name in records, that of its field, and what is typed there."""


class NotRaised(ValueError):
    """What was typed cannot be done; the text says why."""


def can_be_raised(sight: Sight) -> bool:
    """It has limits, and is a plan's that a process is at work on, or has stopped: nobody tells a flow while it runs."""
    live = sight.alive and sight.past.proposed is not None
    return bool(limits_of(sight)) and sight.resumable and (live or sight.state in STOPPED)


def limits_of(sight: Sight) -> dict[str, int]:
    """Those of the whole run, once it has begun: `usd` in picodollars, `tokens`, `ms`."""
    return sight.facts.limits if "" in sight.past.ledger.scopes else {}


def typed_limits(sight: Sight, typed: Mapping[str, str]) -> dict[str, int]:
    """The new ones.

    Raises:
        NotRaised: no figure, or one that is none, or that is not above the limit there is.
    """
    limits: dict[str, int] = {}
    for axis, old in limits_of(sight).items():
        field, unit = _FIELDS[axis]
        text = typed.get(field, "").strip()
        if not text:
            continue
        new = _read(axis, text)
        if new is None:
            raise NotRaised(f"{text[:40]} is no number of {unit}.")
        if new <= old:
            raise NotRaised(f"{limit_shown(axis, new)} is not above {limit_shown(axis, old)}, which is the limit now.")
        limits[axis] = new
    if not limits:
        raise NotRaised("Type at least one new limit.")
    return limits


def as_sent(limits: Mapping[str, int]) -> str:
    """The limits that a form was filled in against."""
    return " ".join(f"{axis}={limit}" for axis, limit in sorted(limits.items()))


def limits_page(sight: Sight, typed: Mapping[str, str] | None = None, *, said: Said | None = None) -> str:
    """The form; nothing is done by sending it."""
    run, typed = escaped(sight.id), typed or {}
    parts = [
        "<h1>Raise the limits</h1>",
        '<p class="hint">Of the whole run, what it has used included. What is left empty stays as it is.</p>',
        f'<form method="get" action="/runs/{run}/limits"><div class="row">',
        *(_field(axis, limit, typed) for axis, limit in limits_of(sight).items()),
        '</div><p class="buttons"><button class="main">Show what would change</button>',
        f'<a class="button" href="/runs/{run}">Leave them as they are</a></p></form>',
    ]
    return _page(sight, parts, said)


def confirmation_page(sight: Sight, typed: Mapping[str, str], limits: Mapping[str, int], *, form: str) -> str:
    """The old figures and the new ones, and the button that does it."""
    run, old = escaped(sight.id), limits_of(sight)
    sent = {field: typed.get(field, "") for field, _ in _FIELDS.values()} | {"form": form, "before": as_sent(old)}
    parts = [
        "<h1>Raise the limits?</h1><ul>",
        *(
            f"<li>from {limit_shown(axis, old[axis])} to <b>{limit_shown(axis, new)}</b></li>"
            for axis, new in limits.items()
        ),
        f'</ul><form method="post" action="/runs/{run}/limits">',
        *(f'<input type="hidden" name="{name}" value="{escaped(value)}">' for name, value in sent.items()),
        f"<p>It is recorded that you raised them. {_what_then(sight)}</p>",
        '<p class="buttons"><button class="main">Raise them</button>',
        f'<a class="button" href="/runs/{run}">Leave them as they are</a></p></form>',
    ]
    return _page(sight, parts, None)


def way_to_raise(sight: Sight) -> Iterator[str]:
    """On the run's own page."""
    if can_be_raised(sight):
        yield f'<p class="links"><a href="/runs/{escaped(sight.id)}/limits">Raise its limits</a></p>'
    elif limits_of(sight) and sight.alive and sight.resumable:
        yield '<p class="hint">A flow\'s limits can be raised once it has stopped, not while it runs.</p>'


def _what_then(sight: Sight) -> str:
    if sight.alive:
        return "The run goes on with them at once."
    resume = f"<code>stratum resume {escaped(sight.id)}</code>"
    if sight.past.proposed is None:
        return f"Nothing is started: {resume} goes on with them."
    return f"Nothing is started: an agent goes on with them when it next calls; at a terminal, {resume} does."


def _page(sight: Sight, parts: Sequence[str], said: Said | None) -> str:
    title = sight.facts.name or sight.id
    return page("Limits", parts, trail=[("/", "Runs"), (f"/runs/{sight.id}", title[:MOST_TEXT])], said=said)


def _field(axis: str, limit: int, typed: Mapping[str, str]) -> str:
    name, unit = _FIELDS[axis]
    return (
        f'<div><label for="f-{name}">At most, {unit} (now {limit_shown(axis, limit)})</label>'
        f'<input id="f-{name}" name="{name}" value="{escaped(typed.get(name, ""), most=100)}" inputmode="decimal" autocomplete="off"></div>'
    )


def _read(axis: str, text: str) -> int | None:
    try:
        match axis:
            case "usd":
                return Budget(usd=Decimal(text)).limits["usd"]
            case "ms":
                return Budget(ms=float(Decimal(text) * 1000)).limits["ms"]
            case _:
                return Budget(tokens=int(text)).limits["tokens"]
    except (ValueError, ArithmeticError):
        return None
