"""A block of our own in a file of the user's: put there, replaced, and taken out with every other byte as it was.

What has to be undone besides is written into the block's first line: that the file was made for it, and in how many new
folders; or that its last line had no end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stratum.contracts.errors import StratumError

_NOTE = re.compile(r"(?: \[(new file, new folders: (?P<folders>\d{1,2})|joined)\])?")


@dataclass(kw_only=True, eq=False)
class NotInstallable(StratumError):
    """A file is such that nothing can be written to it, or taken out, without harm; nothing was changed."""

    path: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.fix}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Marks:
    """The lines around a block."""

    begin: str
    """Its beginning; a note and `close` may follow."""
    end: str
    close: str = ""
    """What ends the first line: `-->` of a comment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Without:
    """A text without its block."""

    text: str | None
    """`None`: the file was made for the block, and holds nothing else."""
    folders: int
    """How many folders above the file were made with it."""
    had_block: bool


def with_block(text: str | None, body: str, marks: Marks, *, path: str, new_folders: int = 0) -> str:
    """`text` with one block that holds `body`, at its end or where it was.

    Raises:
        NotInstallable: a block that was cut or doubled.
    """
    without = without_block(text, marks, path=path)
    if without.had_block and text is not None:
        found = _find(text, marks, path)
        assert found is not None, "there is a block"
        first = text[found[0] : found[1]].splitlines()[0]
        return text[: found[0]] + _block(first, body, marks, _line_end(text)) + text[found[1] :]
    note, glue = "", ""
    if text is None:
        note, text = f" [new file, new folders: {new_folders}]", ""
    elif text and not text.endswith("\n"):
        note, glue = " [joined]", _line_end(text)
    return text + glue + _block(f"{marks.begin}{note}{marks.close}", body, marks, _line_end(text))


def without_block(text: str | None, marks: Marks, *, path: str) -> Without:
    """`text` as it was before `with_block`, with what was written around the block since.

    Raises:
        NotInstallable: a block that was cut or doubled.
    """
    found = None if text is None else _find(text, marks, path)
    if text is None or found is None:
        return Without(text=text, folders=0, had_block=False)
    before, block, after = text[: found[0]], text[found[0] : found[1]], text[found[1] :]
    note = _NOTE.match(block, len(marks.begin))
    assert note is not None, "the note may be empty"
    if note[1] == "joined" and not after:
        before = before.removesuffix("\n").removesuffix("\r")
    is_new = note["folders"] is not None
    rest = before + after
    return Without(text=None if is_new and not rest else rest, folders=int(note["folders"] or 0), had_block=True)


def _block(first: str, body: str, marks: Marks, line_end: str) -> str:
    return "".join(line + line_end for line in (first, *body.splitlines(), marks.end))


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _find(text: str, marks: Marks, path: str) -> tuple[int, int] | None:
    """Where the block begins and ends, its marks included."""
    begins = [match.start() for match in re.finditer(rf"^{re.escape(marks.begin)}", text, flags=re.MULTILINE)]
    ends = [match.end() for match in re.finditer(rf"^{re.escape(marks.end)}\r?(?:\n|\Z)", text, flags=re.MULTILINE)]
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise NotInstallable(
            path=path,
            problem=f"the lines {marks.begin!r} and {marks.end!r} are there, but not once each and in order",
            fix="remove them, and what stratum wrote between them",
        )
    return begins[0], ends[0]
