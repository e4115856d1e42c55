"""A tool's JSON Schemas as they are published: said once, and nothing that says nothing. Every session of an agent reads all of them.

Codex takes all descriptions out of an input schema of more than 5,000 bytes (of its own, without titles, defaults and bounds), and
writes every output schema out in full, once for each tool that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

_NAMED: Final = ("properties", "$defs")
"""Keys below which there are schemas by name."""
_SAYS_NOTHING: Final = (None, "")
"""Defaults of what may be left out."""


def shortened(schema: Mapping[str, Any]) -> Schema:
    """`schema` without the titles that pydantic makes of names, and without defaults that are nothing."""
    short: Schema = {}
    for key, value in schema.items():
        if key == "title" or (key == "default" and value in _SAYS_NOTHING):
            continue
        if key in _NAMED:
            short[key] = {name: shortened(each) for name, each in value.items()}
        else:
            short[key] = _inner(value)
    return short


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return shortened(value)  # pyright: ignore[reportUnknownArgumentType]  # JSON
    if isinstance(value, list):
        return [_inner(each) for each in value]  # pyright: ignore[reportUnknownVariableType]  # JSON
    return value
