"""`restore`: the files of a work tree as a commit has them; what is ignored, and what is not in the way, stays."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable

from stratum.engine.plans.work_trees.git import Blobs
from stratum.engine.plans.work_trees.work_tree import GITLINK, Entry, Path_, Tree, WorkTree


def changed(now: Tree, wanted: Tree) -> list[Path_]:
    """Paths that are not as wanted, in order."""
    return sorted(path for path in now.keys() | wanted.keys() if now.get(path) != wanted.get(path))


def restore(files: WorkTree, now: Tree, wanted: Tree, empty_folders: Iterable[Path_]) -> list[Path_]:
    """Make the files those of `wanted`; the paths that had to be left as they are.

    Left alone: repositories within, what is ignored, and what is behind a link or a folder that is ignored.
    """
    differing = changed(now, wanted)
    within = [path for path in differing if GITLINK in (_mode(now.get(path)), _mode(wanted.get(path)))]
    left = dict.fromkeys(within)
    to_do = [path for path in differing if path not in left]
    # What was ignored then must not be removed now, though the rules have changed: the old rules come back first.
    rules = [path for path in to_do if os.path.basename(path) == b".gitignore" and path in wanted]
    with Blobs(files.git) as blobs:
        for path in rules:
            if not _put(files, blobs, path, now.get(path), wanted[path]):
                left[path] = None
        gone = [path for path in to_do if path not in wanted]
        spared = files.ignored(gone)
        for path in gone:
            if path in spared:
                left[path] = None
            else:
                _remove(files, path)
        for path in to_do:
            if path in wanted and path not in rules and not _put(files, blobs, path, now.get(path), wanted[path]):
                left[path] = None
    _restore_empty_folders(files, set(empty_folders))
    return sorted(left)


def _restore_empty_folders(files: WorkTree, wanted: set[Path_]) -> None:
    for folder in files.empty_folders():
        while folder and folder not in wanted and _remove_folder(files, folder):
            folder = os.path.dirname(folder)
    for folder in wanted:
        if _has_real_folders(files, folder) and not os.path.lexists(os.path.join(files.top, folder)):
            os.makedirs(os.path.join(files.top, folder))


def _mode(entry: Entry | None) -> str:
    return "" if entry is None else entry.mode


def _put(files: WorkTree, blobs: Blobs, path: Path_, now: Entry | None, wanted: Entry) -> bool:
    """Write one file; false where something that is not ours to remove is in its place."""
    real = os.path.join(files.top, path)
    if not _has_real_folders(files, path):
        return False
    if os.path.lexists(real) and (now is None or stat.S_ISDIR(os.lstat(real).st_mode)):
        return False  # ignored, or a folder with ignored files
    folder = os.path.dirname(real)
    os.makedirs(folder, exist_ok=True)
    # Beside its place, then renamed: no reader sees half a file, and no link is followed.
    descriptor, beside = tempfile.mkstemp(dir=folder, prefix=b".stratum-")
    try:
        with os.fdopen(descriptor, "w+b") as file:
            blobs.copy(wanted.id, file)
            if wanted.mode == "120000":
                file.seek(0)
                target = file.read()
                os.unlink(beside)
                os.symlink(target, beside)
            else:
                os.fchmod(file.fileno(), _permissions(real, executable=wanted.mode == "100755"))
        os.replace(beside, real)
    except BaseException:
        if os.path.lexists(beside):
            os.unlink(beside)
        raise
    return True


def _permissions(real: bytes, *, executable: bool) -> int:
    """Those that the file has, or a new one gets, with the executable bits as wanted."""
    umask = os.umask(0)
    os.umask(umask)
    try:
        found = os.lstat(real)
        plain = stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else 0o666 & ~umask
    except FileNotFoundError:
        plain = 0o666 & ~umask
    # Whoever may read it may run it, as git does.
    return plain | (plain & 0o444) >> 2 if executable else plain & ~0o111


def _remove(files: WorkTree, path: Path_) -> None:
    os.unlink(os.path.join(files.top, path))
    folder = os.path.dirname(path)
    while folder and _remove_folder(files, folder):
        folder = os.path.dirname(folder)


def _remove_folder(files: WorkTree, folder: Path_) -> bool:
    """Whether it is gone; not where something is in it."""
    try:
        os.rmdir(os.path.join(files.top, folder))
    except OSError:
        return False
    return True


def _has_real_folders(files: WorkTree, path: Path_) -> bool:
    """Whether every folder on the way is a folder, or not there yet."""
    folder = os.path.dirname(path)
    while folder:
        try:
            if not stat.S_ISDIR(os.lstat(os.path.join(files.top, folder)).st_mode):
                return False
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            return False
        folder = os.path.dirname(folder)
    return True
