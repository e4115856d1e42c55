"""YAML in and out, for plans: the core schema of YAML 1.2 and nothing beyond JSON's values.

Read from libyaml's events rather than by a loader: aliases, tags and duplicate keys are refused, and nothing is
built before it is counted. `no` is a string here, `0x1f` an integer, a date a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import yaml

from stratum.contracts.json_text import Unreadable
from stratum.contracts.problem import Problem, at, visible
from stratum.contracts.reference import MAX_DEPTH

MAX_EVENTS = 100_000
"""A parsing event takes 6 µs. Some 8,000 steps; larger plans are written as JSON, which is read 30 times as fast."""

# https://yaml.org/spec/1.2.2/#103-core-schema
_PLAIN: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"null|Null|NULL|~|"), lambda text: None),
    (re.compile(r"true|True|TRUE"), lambda text: True),
    (re.compile(r"false|False|FALSE"), lambda text: False),
    (re.compile(r"[-+]?[0-9]{1,4000}"), int),
    (re.compile(r"0o[0-7]{1,4000}"), lambda text: int(text, 0)),
    (re.compile(r"0x[0-9a-fA-F]{1,4000}"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)


_TOO_DEEP = "it is nested too deeply"
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"
"""It reads ahead of the events that are counted here, and since 0.2.6 stops at 1,000 levels."""


def read_yaml(text: str) -> Any:
    """The value of a YAML text of one document.

    Raises:
        Unreadable: it is not YAML, or has an anchor, alias, tag, duplicate or non-string key, several documents, or
            too much of anything.
    """
    return _Reader(text).document()


def write_yaml(value: Any) -> str:
    """JSON values as YAML that `read_yaml`, and any reader of YAML 1.1 or 1.2, reads back as the same."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def lines_of(text: str, paths: Collection[str]) -> dict[str, int]:
    """The lines, from 1, on which the members at `paths` stand; JSON is YAML enough for this."""
    found: dict[str, int] = {}
    try:
        for path, line in _positions(text):
            if path in paths:
                found.setdefault(path, line)
    except (Unreadable, yaml.YAMLError):
        pass  # a line is a kindness: what is wrong with the text itself has been said
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self._events = _events(text)

    def document(self) -> Any:
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise _refused(event, "it is empty", 'begin with "steps:"')
        value = self._value(next(self._events))
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _refused(after, "a second document begins", "one file holds one plan; use `plans` for parts of it")
        return value

    def _value(self, event: Any) -> Any:
        # Recursion is bounded by `_events`.
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return list(self._items())
        return self._mapping()

    def _items(self) -> Iterator[Any]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._value(event)

    def _mapping(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = _key(event)
            if key in members:
                raise _refused(event, f"the key {visible(key)} is there twice", "remove one")
            members[key] = self._value(next(self._events))
        return members


def _events(text: str) -> Iterator[Any]:  # of yaml.Event, whose stubs know little
    """libyaml's events from the first document's start on; what no plan may contain is refused here."""
    depth = 0
    try:
        for count, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
            if isinstance(event, yaml.StreamStartEvent):
                continue
            if count > MAX_EVENTS:
                raise _refused(event, f"it has more than {MAX_EVENTS:,} parts", "write a plan of this size as JSON")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise _refused(event, "anchors and aliases are not allowed", "write the value out")
            if (tag := getattr(event, "tag", None)) is not None:
                raise _refused(event, f"tags such as {visible(tag)} are not allowed", "remove it")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > 2 * MAX_DEPTH:
                raise _refused(event, _TOO_DEEP, "make it flatter")
            yield event
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        if error.problem == _LIBYAML_TOO_DEEP:
            raise Unreadable(Problem(path="$", problem=_TOO_DEEP, fix="make it flatter", line=line)) from None
        column = f", column {mark.column + 1}" if mark else ""
        problem = f"it is not YAML: {error.problem or error.context}{column}"
        raise Unreadable(Problem(path="$", problem=problem, fix="correct it there", line=line)) from None
    except yaml.YAMLError as error:
        raise Unreadable(
            Problem(path="$", problem=f"it is not YAML: {str(error).splitlines()[0]}", fix="remove it")
        ) from None


def _positions(text: str) -> Iterator[tuple[str, int]]:
    """Every member's path, and the line on which it, or its key, stands."""
    containers: list[tuple[str, int | None]] = []  # path, and the next index in a list
    key: str | None = None  # in the innermost container, if that is a mapping whose key has been read
    for event in _events(text):
        if isinstance(event, yaml.CollectionEndEvent):
            containers.pop()
            continue
        if not isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
            continue
        line = _line(event)
        if not containers:
            path = "$"
        else:
            parent, index = containers[-1]
            if index is None and key is None:
                key = str(getattr(event, "value", ""))
                yield at(parent, key), line
                continue
            path = at(parent, key if index is None else index)  # type: ignore[arg-type]  # set by the branch above
            containers[-1] = (parent, None if index is None else index + 1)
        key = None
        yield path, line
        if isinstance(event, yaml.CollectionStartEvent):
            containers.append((path, 0 if isinstance(event, yaml.SequenceStartEvent) else None))


def _scalar(event: Any) -> Any:
    return _plain(event.value) if event.implicit[0] else event.value


def _plain(text: str) -> Any:
    for pattern, read in _PLAIN:
        if pattern.fullmatch(text):
            return read(text)
    return text


def _key(event: Any) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise _refused(event, "a key must be a string", "write `key: value`")
    key = _scalar(event)
    if not isinstance(key, str):
        raise _refused(event, f"the key {event.value} is not a string", f'quote it: "{event.value}"')
    return key


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _refused(event: Any, problem: str, fix: str) -> Unreadable:
    return Unreadable(Problem(path="$", problem=problem, fix=fix, line=_line(event)))


class _Dumper(yaml.CSafeDumper):
    """Writes no aliases, and quotes whatever a reader might take for something else than a string."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_str(dumper: Any, text: str) -> Any:
    several_lines = "\n" in text and text.replace("\n", "").isprintable()
    style = "|" if several_lines else None if _plain(text) is text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_str)
