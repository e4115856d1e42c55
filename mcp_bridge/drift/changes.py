"""Which lines of a work tree differ from a commit, asked of git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stratum.contracts.errors import StratumError

_HUNK: Final = re.compile(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_TIMEOUT_S: Final = 60


@dataclass(kw_only=True, eq=False)
class NoChanges(StratumError):
    """Git could not say what differs."""

    told: str
    """In git's own words."""

    def __str__(self) -> str:
        return f"git cannot say what changed: {self.told}; name a revision of a git work tree, or leave --diff out"


def changed_lines(folder: Path, revision: str) -> dict[Path, set[int]]:
    """By resolved path: the lines that are not in `revision`; all lines of a file that git does not know.

    Raises:
        NoChanges: no git, no repository, no such revision.
    """
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    commit = _git(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", said=revision
    )
    changed: dict[Path, set[int]] = {}
    names = _git(top, *_DIFF, "--name-only", "-z", commit.strip(), "--", "*.py", "*.pyw").split("\0")
    for name in filter(None, names):
        path = (top / name).resolve()
        diff = _git(top, *_DIFF, "--unified=0", commit.strip(), "--", f":(literal){name}")
        changed[path] = {number for found in _HUNK.finditer(diff) for number in _new_lines(found)}
    for name in filter(
        None, _git(top, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py", "*.pyw").split("\0")
    ):
        changed[(top / name).resolve()] = _Everything()
    return changed


class _Everything(set[int]):
    """The lines of a new file, however many."""

    def __contains__(self, line: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


# Whatever the user's configuration says: no external programs, and names that can be told apart.
_DIFF: Final = (
    "diff",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--no-relative",
    "--diff-filter=d",
)


def _new_lines(hunk: re.Match[str]) -> range:
    start = int(hunk[1])
    return range(start, start + int(hunk[2] or 1))


def _git(folder: Path, *arguments: str, said: str = "") -> str:
    command: Sequence[str] = ("git", "-C", str(folder), *arguments)
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:  # ValueError: a NUL in the revision
        raise NoChanges(told=str(error)) from error
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip() or f"{said!r} is no revision of this repository"
        raise NoChanges(told=told)
    return done.stdout.decode(errors="surrogateescape")
