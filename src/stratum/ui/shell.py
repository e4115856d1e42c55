"""The frame around every page: what is in its head, where one is, and what was just done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stratum.engine.report.text import escaped

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#2b50c8"/>'
    '<path d="M7 10h18M7 16h18M7 22h11" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>'
)


class Said(NamedTuple):
    """What became of what the visitor did."""

    text: str
    well: bool = True


def page(
    title: str,
    parts: Iterable[str],
    *,
    trail: Sequence[tuple[str, str]] = (),
    stage: str = "",
    version: str = "",
    said: Said | None = None,
    reload_s: int = 0,
) -> str:
    """A whole document; `parts` are HTML, the other texts are not.

    `trail` are the pages above it, by address and name. `stage` and `version` say to the page's script what it shows: of another
    stage it is loaded anew. `reload_s` is for browsers without scripts.
    """
    reload = f'<noscript><meta http-equiv="refresh" content="{reload_s}"></noscript>' if reload_s else ""
    shown = escaped(title, most=200)
    above = "".join(f'<li><a href="{escaped(address)}">{escaped(name, most=60)}</a></li>' for address, name in trail)
    where = f'<ol>{above}<li aria-current="page">{escaped(title, most=60)}</li></ol>' if trail else ""
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<title>{shown} · Stratum</title><link rel="icon" href="/icon.svg">',
            f'<link rel="stylesheet" href="/page.css"><script src="/live.js" defer></script>{reload}</head>',
            f'<body data-stage="{escaped(stage)}" data-version="{escaped(version)}">',
            '<a class="skip" href="#main">Skip to the content</a>',
            f'<header class="top"><nav aria-label="Where you are"><a class="home" href="/">Stratum</a>{where}</nav></header>',
            '<main id="main" tabindex="-1">',
            _said(said),
            '<p id="changed" class="said badly" hidden>This has changed since you opened it. <a href="">Show it as it is now</a></p>',
            *parts,
            "</main></body></html>\n",
        ]
    )


def notice_page(title: str, html: str) -> str:
    """A page that only says something."""
    return page(title, [f"<h1>{escaped(title)}</h1><p>{html}</p>"])


def _said(said: Said | None) -> str:
    if said is None:
        return ""
    role, kind = ("status", "well") if said.well else ("alert", "badly")
    return f'<p class="said {kind}" role="{role}">{escaped(said.text, most=2000)}</p>'
