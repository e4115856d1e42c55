"""Bar charts as SVG: readable without a library, in a browser and in a page of the documentation, light or dark."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

WIDTH, NAMES, RIGHT = 760, 210, 70
ROW, GAP, TOP = 22, 34, 74
OUR_WORDS = re.compile(r"(infer|lanes|stratum|journal|plan,)(?!-)")
FILL, OURS = "#7f8c9b", "#2f7fd1"
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:11px;fill:#57606a}"
    ".title{font-size:15px;font-weight:600}line{stroke:#8884}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9da7b3}}"
)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One contender in one setting."""

    group: str
    name: str
    value: float


def draw(path: Path, bars: Sequence[Bar], *, title: str, axis: str, ours: Sequence[str] = ()) -> None:
    """Write a chart of `bars`, group below group; the values are compared on a logarithmic scale.

    Bars named in `ours`, or whose name says infer, lanes, stratum, journal or plan, are highlighted; not those of a package stratum-py.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_chart([bar for bar in bars if bar.value > 0], title=title, axis=axis, ours=ours))


def _chart(bars: Sequence[Bar], *, title: str, axis: str, ours: Sequence[str]) -> str:
    low, high = _decades([bar.value for bar in bars])
    scale = (WIDTH - NAMES - RIGHT) / (high - low)
    parts: list[str] = []
    y = TOP
    for group, members in groupby(bars, key=lambda bar: bar.group):
        parts.append(f'<text x="8" y="{y + 4}" class="small">{escape(group)}</text>')
        y += 12
        for bar in members:
            width = max(2.0, (math.log10(bar.value) - low) * scale)
            fill = OURS if _is_ours(bar.name, ours) else FILL
            parts += [
                f'<text x="{NAMES - 8}" y="{y + 14}" text-anchor="end">{escape(bar.name)}</text>',
                f'<rect x="{NAMES}" y="{y + 2}" width="{width:.1f}" height="{ROW - 6}" rx="2" fill="{fill}"/>',
                f'<text x="{NAMES + width + 6:.1f}" y="{y + 14}" class="small">{bar.value:.3g}</text>',
            ]
            y += ROW
        y += GAP - ROW + 6
    grid = "".join(
        f'<line x1="{NAMES + (power - low) * scale:.1f}" x2="{NAMES + (power - low) * scale:.1f}" y1="{TOP - 14}" y2="{y}"/>'
        f'<text x="{NAMES + (power - low) * scale:.1f}" y="{TOP - 18}" text-anchor="middle" class="small">{10.0**power:g}</text>'
        for power in range(low, high + 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{escape(title)}">'
        f'<style>{STYLE}</style><text x="8" y="20" class="title">{escape(title)}</text>'
        f'<text x="{WIDTH - 8}" y="38" text-anchor="end" class="small">{escape(axis)}</text>{grid}{"".join(parts)}</svg>\n'
    )


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around all values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _is_ours(name: str, ours: Sequence[str]) -> bool:
    return name in ours or OUR_WORDS.search(name) is not None
