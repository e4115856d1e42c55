"""The first page: what waits for the visitor, what is at work, and what there was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from stratum.actors.journal_records import Run
from stratum.engine.report.text import escaped
from stratum.ui.project import Sight
from stratum.ui.shell import page


def listing_page(folder: str, runs: Sequence[Run], sights: Sequence[Sight]) -> str:
    """`sights` are of those runs that are not over."""
    waiting = [sight for sight in sights if sight.state == "draft" or (sight.alive and sight.questions)]
    states = {sight.id: sight.state for sight in sights}
    told = {sight.id for sight in waiting}
    others = [run for run in runs if run.run not in told]
    parts = [
        f'<h1>Plans and runs</h1><p class="run"><code>{escaped(folder, most=300)}</code></p>',
        '<div id="waiting" data-live>',
        *_waiting(waiting),
        '</div><div id="runs" data-live>',
        *_table(others, states, empty=not waiting),
        "</div>",
        f'<p id="summary" class="unseen" role="status" data-live>{_summary(waiting)}</p>',
    ]
    return page("Plans and runs", parts, stage="list", reload_s=5)


def _waiting(sights: Sequence[Sight]) -> Iterator[str]:
    if not sights:
        return
    yield '<section aria-labelledby="waits"><h2 id="waits">Waits for you</h2><ul class="cards">'
    for sight in sights:
        asked = (
            "to be approved"
            if sight.state == "draft"
            else f"asks: {sight.questions[0].question}"
            + (f" and {len(sight.questions) - 1} more" if len(sight.questions) > 1 else "")
        )
        yield (
            f'<li><a href="/runs/{escaped(sight.id)}"><span class="name">{escaped(sight.run.title or sight.id, most=300)}</span>'
            f'<span class="mark asking">{escaped(asked, most=300)}</span></a></li>'
        )
    yield "</ul></section>"


def _table(runs: Iterable[Run], states: dict[str, str], *, empty: bool) -> Iterator[str]:
    rows = [_row(run, states.get(run.run, run.state)) for run in runs]
    if not rows:
        if empty:
            yield (
                '<p class="empty">Nothing yet. A plan that an agent proposes, or <code>stratum run plan.yaml</code>, '
                "shows up here by itself.</p>"
            )
        return
    yield '<section aria-labelledby="all"><h2 id="all">Runs</h2><ul class="cards">'
    yield from rows
    yield "</ul></section>"


def _row(run: Run, state: str) -> str:
    return (
        f'<li><a href="/runs/{escaped(run.run)}"><span class="name">{escaped(run.title or run.run, most=300)}</span>'
        f'<span class="told">{"plan" if run.target == "plan" else "flow" if run.target else "session"} · {moment(run.started_at)}</span>'
        f'<span class="mark {escaped(state)}">{escaped(state)}</span></a></li>'
    )


def _summary(waiting: Sequence[Sight]) -> str:
    if not waiting:
        return "Nothing waits for you."
    return "1 thing waits for you." if len(waiting) == 1 else f"{len(waiting)} things wait for you."


def moment(at_ms: int) -> str:
    """A time since 1970, as people and programs read it."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f'<time datetime="{at.isoformat(timespec="seconds")}">{at:%Y-%m-%d %H:%M} UTC</time>'
