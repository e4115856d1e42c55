"""`Problem`: one thing that is wrong with a plan: where, what, and what to write instead."""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

MAX_PROBLEMS = 200
"""Told at once; a plan that has more is not checked any further."""
_COMPARED = 300
_TEXT_SHOWN = 80
_LISTED = 8
_SHORT = reprlib.Repr()
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxlevel = 3


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something to correct before a plan can be shown and approved."""

    path: str
    """As in JSONPath: `$.steps[3].depends_on[0]`."""
    problem: str
    fix: str
    line: int | None = None
    """In the text, from 1; `None` where the plan was not read from text, or from too long a one."""

    def __str__(self) -> str:
        where = f"line {self.line}, {self.path}" if self.line else self.path
        return f"{where}: {self.problem}; {self.fix}"


class Enough(Exception):
    """`MAX_PROBLEMS` have been found. Never leaves the layer."""


class Problems:
    """Collects what is wrong with one plan."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, path: str, problem: str, fix: str) -> None:
        """Note one.

        Raises:
            Enough: there are too many to go on.
        """
        self.note(Problem(path=path, problem=problem, fix=fix))

    def note(self, problem: Problem) -> None:
        if len(self._found) == MAX_PROBLEMS:
            raise Enough
        self._found.append(problem)

    def in_order(self) -> list[Problem]:
        """All of them, by their place in the plan."""
        return sorted(self._found, key=lambda each: _place(each.path))

    def __len__(self) -> int:
        return len(self._found)


def at(path: str, key: str | int) -> str:
    """The path of a member."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if key.isidentifier() and key.isascii() else f"{path}[{visible(key)}]"


def visible(text: str) -> str:
    """`text` in double quotes, with everything escaped that cannot be seen: control and bidirectional characters."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in quoted)


def legible(text: str, *, most: int) -> str:
    """`text` cut to `most` characters, with everything escaped that cannot be seen, but for the ends of its lines."""
    cut = text if len(text) <= most else f"{text[:most]}…"
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in cut)


def shown(value: object) -> str:
    """A short rendering of a JSON value, for a message."""
    if isinstance(value, str):
        return visible(value if len(value) <= _TEXT_SHOWN else f"{value[:_TEXT_SHOWN]}…")
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else _SHORT.repr(value)


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str) -> str:
    """The known name nearest to `name`; else what there is to choose from, or `otherwise` if that is nothing."""
    # A plan may have 100,000 ids and as many typing errors: bound what is compared.
    names = {each.lower(): each for each in islice(known, _COMPARED)}
    close = difflib.get_close_matches(name[:_TEXT_SHOWN].lower(), names, n=1)
    if close:
        return f"did you mean {visible(names[close[0]])}?"
    return listed(list(names.values())) if names else otherwise


def listed(names: Sequence[str]) -> str:
    """`there are: a, b, c, ...`"""
    return f"there are: {', '.join(names[:_LISTED])}{', …' if len(names) > _LISTED else ''}"


def _place(path: str) -> list[tuple[int, str]]:
    parts = re.split(r"[.\[\]]+", path)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"
