"""Files that steps may change, as patterns: whether two can mean the same file, and whether a file is meant.

A pattern is a path below the workspace: `*` stands for any characters of a name, `?` for one, `**` for any folders; with a slash at
its end it means all that is in that folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from stratum.contracts.plans.dag import Dag
from stratum.contracts.plans.plan import Step
from stratum.contracts.problem import Problems, visible

T = TypeVar("T")

MAX_STEPS: Final = 1000
"""Of one plan, with files of their own."""
MAX_COMPARED: Final = 300_000
"""Names and characters that are compared while a plan is checked: a fraction of a second."""

Token = str | None
"""A character, `_ONE`, or `None` for any characters."""
Name = tuple[Token, ...] | None
"""A folder's or a file's; `None` for any folders, or none."""
Pattern = tuple[Name, ...]
_ONE: Final = "any character"
_BELOW: Final[Pattern] = (None, (None,))


def pattern_of(text: str) -> Pattern:
    """A pattern as it is compared."""
    names = [name for name in text.split("/") if name not in ("", ".")]
    return (*map(_name, names), *(_BELOW if text.endswith("/") else ()))


def path_of(text: str) -> Pattern:
    """A file's path, in which nothing stands for anything else."""
    return tuple(map(tuple, text.split("/")))


def overlap(a: Pattern, b: Pattern, *, spent: list[int] | None = None) -> bool:
    """Whether some path is meant by both; how much had to be compared is added to `spent`."""
    count = [0] if spent is None else spent

    def names_meet(one: Name, other: Name) -> bool:
        assert one is not None and other is not None, "those are not compared"
        return _meet(one, other, _characters_meet, count)

    return _meet(a, b, names_meet, count)


def strays(paths: Iterable[str], owned: Sequence[str]) -> list[str]:
    """Which of these files none of the patterns means."""
    patterns = [pattern_of(text) for text in owned]
    return [path for path in paths if not any(overlap(pattern, path_of(path)) for pattern in patterns)]


def check_pattern(text: str, path: str, problems: Problems) -> None:
    """Note what is no path below the workspace."""
    if text.startswith(("/", "~")) or ".." in text.split("/"):
        problems.add(
            path, f"{visible(text)} is not below the workspace", "write it relative to the workspace, without .."
        )
    elif "\0" in text or not text.strip("./"):
        problems.add(path, f"{visible(text)} names no file", "write a path or a pattern such as src/*.py")


def check_apart(
    owned: Mapping[int, Sequence[str]], dag: Dag, steps: Sequence[Step], *, path: str, problems: Problems
) -> None:
    """Note every two steps that may be at work at once, and may change the same file. `owned` is by step."""
    if len(owned) > MAX_STEPS:
        problems.add(path, f"more than {MAX_STEPS:,} steps have files of their own", "give them to fewer")
        return
    marks = dag.marked_descendants(owned) if len(owned) > 1 else []
    patterns = {step: [(text, pattern_of(text)) for text in texts] for step, texts in owned.items()}
    spent, before = [0], list[tuple[int, int]]()
    for bit, step in enumerate(owned):
        for earlier_bit, earlier in before:
            if marks[step] >> earlier_bit & 1 or marks[earlier] >> bit & 1:
                continue
            shared = _shared(patterns[earlier], patterns[step], spent)
            if spent[0] > MAX_COMPARED:
                problems.add(
                    path,
                    "its files are too many, or their patterns too long, to be compared",
                    "write fewer, or shorter ones",
                )
                return
            if shared:
                what = f"step {visible(steps[earlier].id)} may be at work at once and change the same file: {' and '.join(map(visible, shared))}"
                fix = f"have one wait for the other: depends_on: [{steps[earlier].id}]"
                problems.add(f"{path}.steps[{step}].files", what, fix)
        before.append((bit, step))


def _shared(
    some: Sequence[tuple[str, Pattern]], others: Sequence[tuple[str, Pattern]], spent: list[int]
) -> tuple[str, ...]:
    for text, pattern in some:
        for other_text, other in others:
            if overlap(pattern, other, spent=spent):
                return (text,) if text == other_text else (text, other_text)
            if spent[0] > MAX_COMPARED:
                return ()
    return ()


def _name(text: str) -> Name:
    if text == "**":
        return None
    return tuple(None if character == "*" else _ONE if character == "?" else character for character in text)


def _characters_meet(a: Token, b: Token) -> bool:
    return a == b or _ONE in (a, b)


def _meet(
    a: Sequence[T | None], b: Sequence[T | None], same: Callable[[T | None, T | None], bool], spent: list[int]
) -> bool:
    """Whether some sequence is meant by both, in which `None` stands for any number of items."""
    seen, to_do = {(0, 0)}, [(0, 0)]
    while to_do:
        i, j = to_do.pop()
        spent[0] += 1
        more_a, more_b = i < len(a), j < len(b)
        if not more_a and not more_b:
            return True
        next: list[tuple[int, int]] = []
        if more_a and a[i] is None:
            next += [(i + 1, j), (i, j + 1)] if more_b else [(i + 1, j)]
        elif more_b and b[j] is None:
            next += [(i, j + 1), (i + 1, j)] if more_a else [(i, j + 1)]
        elif more_a and more_b and same(a[i], b[j]):
            next.append((i + 1, j + 1))
        to_do += [place for place in next if place not in seen]
        seen.update(next)
    return False
