"""A plan's graph as SVG: layers from left to right, each step in the layer after the last of those it waits for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from stratum.contracts.plans.dag import Dag
from stratum.engine.report.text import escaped

MOST_STEPS: Final = 200
"""Beyond that nobody could read it."""
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 164, 46, 44, 16, 6
_SWEEPS: Final = 4
_BELOW: Final = 22
"""Room for the bend of what is sent back."""
_SIGNS: Final = {
    "done": "✓",
    "failed": "✗",
    "running": "…",
    "handed_out": "…",
    "asking": "?",
    "skipped": "–",
    "cancelled": "✗",
    "blocked": "–",
}
"""Nobody has to tell states by their colours."""

_ARROWS: Final = (
    '<defs><marker id="to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="head" d="M0 0L8 4L0 8z"/></marker>'
    '<marker id="back" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="head back" d="M0 0L8 4L0 8z"/></marker></defs>'
)


def graph_picture(
    before: Mapping[str, Sequence[str]],
    *,
    names: Mapping[str, str],
    states: Mapping[str, str],
    sent_back: Collection[tuple[str, str]] = (),
) -> str:
    """The graph of the steps that wait for others as `before` says; empty where it would be too large to read.

    `sent_back` are pairs of steps: whose violations went to whom.
    """
    if not before or len(before) > MOST_STEPS:
        return ""
    ids = list(before)
    number = {id: place for place, id in enumerate(ids)}
    waits = [[number[other] for other in before[id]] for id in ids]
    layers = _layers(Dag.of(waits), waits)
    _untangle(layers, waits)
    places = {
        step: (_MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
        for column, layer in enumerate(layers)
        for row, step in enumerate(layer)
    }
    tallest = max(len(layer) for layer in layers)
    width = 2 * _MARGIN + len(layers) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + tallest * (_HEIGHT + _GAP_Y) - _GAP_Y + (_BELOW if sent_back else 0)
    lines = [_edge(places[other], places[step]) for step, others in enumerate(waits) for other in others]
    lines += [
        _back(places[number[asked]], places[number[first]])
        for asked, first in sent_back
        if {asked, first} <= number.keys()
    ]
    boxes = [
        _box(places[step], id=ids[step], name=names.get(ids[step], ""), state=states.get(ids[step], "waiting"))
        for step in range(len(ids))
    ]
    label = f"{len(ids)} steps in {len(layers)} layers"
    return (
        f'<svg class="graph" role="group" aria-label="{label}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">{_ARROWS}{"".join(lines)}{"".join(boxes)}</svg>'
    )


def _layers(dag: Dag, waits: Sequence[Sequence[int]]) -> list[list[int]]:
    depth = [0] * len(waits)
    for step in dag.order():
        depth[step] = max((depth[other] + 1 for other in waits[step]), default=0)
    layers: list[list[int]] = [[] for _ in range(max(depth) + 1)]
    for step, at in enumerate(depth):
        layers[at].append(step)
    return layers


def _untangle(layers: list[list[int]], waits: Sequence[Sequence[int]]) -> None:
    """Order each layer by where its neighbours are (Sugiyama's barycentres), forwards and backwards."""
    followers: list[list[int]] = [[] for _ in waits]
    for step, others in enumerate(waits):
        for other in others:
            followers[other].append(step)
    for sweep in range(_SWEEPS):
        neighbours = waits if sweep % 2 == 0 else followers
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            row = {step: place for each in layers for place, step in enumerate(each)}
            layer.sort(key=lambda step: _mean([row[other] for other in neighbours[step]], row[step]))


def _mean(rows: Sequence[int], otherwise: int) -> float:
    return sum(rows) / len(rows) if rows else float(otherwise)


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    bend = max(20, (x2 - x1) // 2)
    return f'<path d="M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2 - 1} {y2}" marker-end="url(#to)"/>'


def _back(start: tuple[int, int], end: tuple[int, int]) -> str:
    """Below the boxes, from the bottom of one to the bottom of the other."""
    x1, y1 = start[0] + _WIDTH // 2, start[1] + _HEIGHT
    x2, y2 = end[0] + _WIDTH // 2, end[1] + _HEIGHT
    lowest = max(y1, y2) + _BELOW + 4
    return f'<path class="back" d="M{x1} {y1}C{x1} {lowest} {x2} {lowest} {x2} {y2 + 1}" marker-end="url(#back)"/>'


def _box(place: tuple[int, int], *, id: str, name: str, state: str) -> str:
    x, y = place
    return (
        f'<a href="#step-{escaped(id)}"><g class="{escaped(state)}"><title>{escaped(id)}: {escaped(name, most=200)} ({escaped(state.replace("_", " "))})</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="7"/>'
        f'<text x="{x + 12}" y="{y + 19}" class="id">{escaped(_short(id, 17))}</text>'
        f'<text x="{x + _WIDTH - 12}" y="{y + 19}" class="sign">{_SIGNS.get(state, "")}</text>'
        f'<text x="{x + 12}" y="{y + 35}">{escaped(_short(name, 22))}</text></g></a>'
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
