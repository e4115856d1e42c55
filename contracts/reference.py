"""References: how a step's inputs name what the run was given and what earlier steps returned.

`$.input.city`, `$.steps.2.output`, `$.steps.2.output.routes.0.path`. Anywhere in a step's `inputs`, a string that
begins with `$.` is one; `$$.` at the beginning stands for a literal `$.`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from stratum.contracts.problem import at
from stratum.contracts.shape import is_dict, is_sequence

MAX_DEPTH = 64
"""Levels of nesting in a value written in a plan."""
_REFERENCE = re.compile(r"\$\.(?:input|steps\.(?P<step>[^.]+)\.output)(?P<path>(?:\.[^.]+)*)")


class Reference(msgspec.Struct, frozen=True, gc=False):
    """A reference, read."""

    step: str
    """The step whose output it is, or is in; empty: the plan's input."""
    path: tuple[str, ...]
    """Fields, and places in lists from 0."""


class Malformed(Exception):
    """A value that no plan may hold. Never leaves the layer: `check` words it as a `Problem`."""

    def __init__(self, path: str, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem
        self.fix = fix


def is_reference(value: object) -> bool:
    """True for a string that is meant as a reference, well-formed or not."""
    return isinstance(value, str) and value.startswith("$.")


def read_reference(text: str, *, path: str) -> Reference:
    """Read a reference that is written at `path`.

    Raises:
        Malformed: it is not one.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise Malformed(
            path,
            f"{text!r} is not a reference",
            'write "$.input.NAME" or "$.steps.ID.output.FIELD"; "$$." is a plain "$."',
        )
    return Reference(found["step"] or "", tuple(found["path"].split(".")[1:]))


def references(value: object, *, path: str) -> Iterator[tuple[str, Reference]]:
    """Every reference in a value written in a plan, with where it stands.

    Raises:
        Malformed: a reference is not well-formed, or the value is nested too deeply or holds an infinite number.
    """
    # A stack, not recursion: the value comes from outside.
    waiting: list[tuple[str, object, int]] = [(path, value, 0)]
    while waiting:
        where, item, depth = waiting.pop()
        if isinstance(item, str):
            if item.startswith("$."):
                yield where, read_reference(item, path=where)
        elif is_dict(item) or is_sequence(item):
            if depth == MAX_DEPTH:
                raise Malformed(where, f"it is nested deeper than {MAX_DEPTH} levels", "make it flatter")
            members = item.items() if is_dict(item) else enumerate(item)
            waiting.extend((at(where, key), member, depth + 1) for key, member in members)
        elif isinstance(item, float) and not math.isfinite(item):
            raise Malformed(where, f"{item} is not a JSON number", "write it as a string")


def substitute(value: Any, value_of: Callable[[Reference], Any]) -> Any:
    """`value`, which `references` has accepted, with every reference replaced by what it refers to."""
    if isinstance(value, str):
        if value.startswith("$."):
            return value_of(read_reference(value, path=""))
        return value[1:] if value.startswith("$$.") else value
    if is_sequence(value):
        return [substitute(item, value_of) for item in value]
    if is_dict(value):
        return {key: substitute(item, value_of) for key, item in value.items()}
    return value


def is_place(key: str) -> bool:
    """True for what may be a place in a list."""
    return key.isascii() and key.isdecimal() and len(key) < 10


def follow(value: Any, path: tuple[str, ...]) -> Any:
    """What lies at `path` in a JSON value; null if the value, or one on the way, is null: a skipped step's output is.

    Raises:
        LookupError: there is nothing at that path.
    """
    for key in path:
        if value is None:
            return None
        if is_dict(value) and key in value:
            value = value[key]
        elif is_sequence(value) and is_place(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            raise LookupError(f"there is no {key!r} in what {'.'.join(path)!r} refers to")
    return value
