"""A hook of mkdocs: Mermaid diagrams drawn while the site is built, so that it needs neither a script nor a network to show them."""

from __future__ import annotations

import itertools
from typing import Any

import mmdr

numbers = itertools.count(1)


def on_config(config: Any) -> None:
    # Not in mkdocs.yml: a function there takes a YAML tag that safe loaders refuse.
    fence = {"name": "mermaid", "class": "mermaid", "format": drawn}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}


def drawn(source: str, *_: Any, **__: Any) -> str:
    """The diagram as SVG; one that cannot be read fails the build."""
    # The styles inside name the picture by its id, of which a page may have only one.
    return mmdr.render(source).svg().replace("merman", f"diagram-{next(numbers)}")
