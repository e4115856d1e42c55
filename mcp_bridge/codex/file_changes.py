"""Changes to several files: shown first, then made all or none."""

from __future__ import annotations

import difflib
import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stratum.contracts.problem import visible
from stratum.mcp_bridge.codex.owned_block import NotInstallable


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """A file before and after."""

    path: Path
    """The file itself, not a link to it."""
    before: str | None
    after: str | None
    """`None`: there is no such file."""
    folders: int = 0
    """With `after=None`: how many folders above it go too, if they are empty."""


def read_file(path: Path, *, within: Path | None = None) -> tuple[Path, str | None]:
    """The file that `path` is or links to, and its text; `None` where there is none.

    Raises:
        NotInstallable: no regular file that may be written, no text, or a link that leaves `within`.
    """
    shown = str(path)
    real = Path(os.path.realpath(path))
    if path.is_symlink() and not real.exists():
        raise NotInstallable(path=shown, problem="it links to nothing", fix="make what it links to, or remove the link")
    if within is not None and not real.is_relative_to(os.path.realpath(within)):
        raise NotInstallable(path=shown, problem=f"it leads out of the project, to {real}", fix="use --scope user")
    try:
        mode = real.stat().st_mode
        if not stat.S_ISREG(mode):
            raise NotInstallable(path=shown, problem="it is not a file", fix="move it away")
        if not mode & 0o222 or not os.access(real, os.W_OK):
            raise NotInstallable(path=shown, problem="it is read-only", fix="make it writable, or change it yourself")
        return real, real.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return real, None
    except UnicodeDecodeError as error:
        raise NotInstallable(path=shown, problem="it is not UTF-8", fix="save it as UTF-8") from error
    except OSError as error:
        raise NotInstallable(path=shown, problem=error.strerror or str(error), fix="make it readable") from error


def missing_folders(path: Path, *, made: set[Path]) -> int:
    """How many folders above `path` are yet to be made, besides those in `made`; adds them there."""
    count = 0
    for folder in path.parents:
        if folder.exists() or folder in made:
            break
        made.add(folder)
        count += 1
    return count


def diff_of(changes: Sequence[FileChange]) -> str:
    """What would be different, as a unified diff."""
    return "\n".join(line for change in changes for line in _diff(change))


def apply_changes(changes: Sequence[FileChange]) -> None:
    """Make all of them; where one fails, none is left made.

    Raises:
        NotInstallable: a file is no longer as it was read, or cannot be written.
    """
    made: list[Path] = []
    staged: list[tuple[FileChange, Path | None]] = []
    done: list[FileChange] = []
    try:
        for change in changes:
            _require_unchanged(change)
            if change.after is None:
                staged.append((change, None))
                continue
            _make_folders(change.path, made)
            staged.append((change, _stage(change.path, change.after)))
        for change, temporary in staged:
            # Counted before it is made: an interrupt in between must undo it too.
            done.append(change)
            _replace(change, temporary)
    except BaseException as error:
        for change in reversed(done):
            _restore(change)
        for _, temporary in staged:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            where = str(error.filename or "a file")
            raise NotInstallable(path=where, problem=error.strerror or str(error), fix="nothing was changed") from error
        raise
    for change in reversed(changes):
        if change.after is None:
            _remove_empty(change)


def _diff(change: FileChange) -> list[str]:
    name = str(change.path)
    name = name if name.isprintable() else visible(name)
    before, after = (change.before or "").splitlines(), (change.after or "").splitlines()
    old, new = (name if text is not None else "/dev/null" for text in (change.before, change.after))
    return list(difflib.unified_diff(before, after, old, new, lineterm=""))


def _require_unchanged(change: FileChange) -> None:
    try:
        now = change.path.read_bytes()
    except FileNotFoundError:
        now = None
    if now != (None if change.before is None else change.before.encode()):
        raise NotInstallable(path=str(change.path), problem="it has changed since it was read", fix="run this again")


def _make_folders(path: Path, made: list[Path]) -> None:
    """Those above `path` that are not there; each is noted in `made` at once, for the next may fail."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        made.append(folder)
        folder.mkdir()


def _stage(path: Path, text: str) -> Path:
    """The text in a file beside it, with its mode, on the disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".stratum")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _replace(change: FileChange, temporary: Path | None) -> None:
    if temporary is None:
        change.path.unlink(missing_ok=True)
    else:
        temporary.replace(change.path)


def _restore(change: FileChange) -> None:
    with suppress(OSError):
        if change.before is None:
            change.path.unlink(missing_ok=True)
        else:
            _stage(change.path, change.before).replace(change.path)


def _remove_empty(change: FileChange) -> None:
    for folder in list(change.path.parents)[: change.folders]:
        with suppress(OSError):
            folder.rmdir()
