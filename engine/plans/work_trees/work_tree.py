"""`WorkTree`: the files of a git work tree as a git tree of their exact bytes, made without touching the user's index.

Tracked files and those that are not ignored; never `.stratum/`. Neither filters nor line endings are applied: what comes back is
what was there. A submodule, or a repository within, is recorded by its commit alone.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stratum.contracts.errors import WorkspaceError
from stratum.contracts.rendering import show
from stratum.engine.plans.work_trees.git import Git

Path_ = bytes
"""Of a file, from the top of the work tree; any bytes but NUL, as the system has them."""

OWN: Final = b".stratum"
GITLINK: Final = "160000"
NEW_BYTES: Final = 2**30
"""New content that one snapshot may store."""
_RACY_NS: Final = 2 * 10**9
"""A file changed this shortly before it was read may change again without a trace in its times."""
_TRIES: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file as a tree has it."""

    mode: str
    id: str
    """Of its blob; of a repository within, of the commit that it is at."""


Tree = dict[Path_, Entry]
_Times = tuple[int, int, int, int, int]


class WorkTree:
    """Blocking; to be called in a thread, by one caller at a time."""

    def __init__(self, git: Git, top: Path) -> None:
        self.git = git
        self.top = os.fsencode(top)
        self._known: dict[Path_, tuple[_Times, str]] = {}

    @classmethod
    def at(cls, folder: Path) -> WorkTree:
        """The work tree that `folder` is in.

        Raises:
            WorkspaceError: there is none.
        """
        git = Git(folder)
        try:
            bare, inside = git("rev-parse", "--is-bare-repository", "--is-inside-work-tree").split()
        except WorkspaceError as error:
            if "not a git repository" not in error.problem:
                raise
            raise git.failed("it is not in a git repository", fix="run `git init` there") from None
        if inside != b"true":
            what = "a bare repository" if bare == b"true" else "inside a repository's .git folder"
            raise git.failed(f"it is {what}, which has no files", fix="name a folder with files as workspace")
        top = Path(os.fsdecode(git("rev-parse", "--show-toplevel").removesuffix(b"\n")))
        return cls(Git(top), top)

    def read(self) -> Tree:
        """Every file as it is now, its content stored in the repository.

        Raises:
            WorkspaceError: a file cannot be read, there is too much new content, or files change all the time.
        """
        for attempt in range(_TRIES):
            try:
                return self._read()
            except FileNotFoundError:
                continue  # removed between the listing and the reading
            except WorkspaceError as error:
                if attempt == _TRIES - 1 or "could not open" not in error.problem:
                    raise
        raise self.git.failed("its files keep changing", fix="stop what changes them, then go on")

    def write(self, tree: Tree) -> str:
        """`tree` as a tree object's id."""
        lines = b"".join(f"{e.mode} {e.id} 0\t".encode() + path + b"\0" for path, e in tree.items())
        with tempfile.TemporaryDirectory(prefix="stratum-") as folder:
            env = {"GIT_INDEX_FILE": f"{folder}/index"}
            self.git("update-index", "-z", "--index-info", input=lines, env=env)
            return self.git("write-tree", "--missing-ok", env=env).decode().strip()

    def of(self, commit: str) -> Tree:
        """The files of a commit."""
        return dict(_entries(self.git("ls-tree", "-r", "-z", "--full-tree", commit)))

    def ignored(self, paths: Iterable[Path_]) -> set[Path_]:
        """Those of `paths` that are ignored by what .gitignore and the like say now."""
        asked = b"".join(path + b"\0" for path in paths)
        if not asked:
            return set()
        answer = self.git("check-ignore", "-z", "--stdin", input=asked, no=1)
        return set(answer.split(b"\0")) - {b""}

    def empty_folders(self) -> list[Path_]:
        """Folders that are not ignored and hold nothing: git has no entry for them."""
        listed = self.git("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
        ignored = {path.rstrip(b"/") for path in listed.split(b"\0")}
        found: list[Path_] = []
        for folder, folders, files in os.walk(self.top):
            path = os.path.relpath(folder, self.top)
            if not folders and not files:
                found.append(path)
            within = path if path != b"." else b""
            inside = [] if within and b".git" in folders + files else folders
            folders[:] = [
                name for name in inside if name not in (b".git", OWN) and os.path.join(within, name) not in ignored
            ]
        return found

    def _read(self) -> Tree:
        listed = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split(b"\0")
        tree: Tree = {}
        files: dict[Path_, os.stat_result] = {}
        real: dict[bytes, bool] = {b"": True}
        for path in sorted(set(listed) - {b""}):
            if _is_own(path) or not self._in_real_folders(path.rstrip(b"/"), real):
                continue
            try:
                found = os.lstat(os.path.join(self.top, path.rstrip(b"/")))
            except (FileNotFoundError, NotADirectoryError):
                continue  # deleted, and not staged as deleted
            if stat.S_ISDIR(found.st_mode):
                commit = self._commit_within(path)
                if commit:
                    tree[path.rstrip(b"/")] = Entry(mode=GITLINK, id=commit)
            elif stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
                files[path] = found
        ids = self._ids(files)
        tree.update((path, Entry(mode=_mode(found), id=ids[path])) for path, found in files.items())
        return tree

    def _in_real_folders(self, path: Path_, real: dict[bytes, bool]) -> bool:
        """Whether a path leads through folders alone: what is behind a link is not of this work tree."""
        folder = os.path.dirname(path)
        if folder not in real:
            is_link = os.path.islink(os.path.join(self.top, folder))
            real[folder] = self._in_real_folders(folder, real) and not is_link
        return real[folder]

    def _commit_within(self, path: Path_) -> str:
        """What a repository within is at; empty where it has no commit, or is no repository."""
        folder = os.path.join(self.top, path.rstrip(b"/"))
        if not os.path.lexists(os.path.join(folder, b".git")):
            return ""
        try:
            return Git(Path(os.fsdecode(folder)))("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
        except WorkspaceError:
            return ""

    def _ids(self, files: dict[Path_, os.stat_result]) -> dict[Path_, str]:
        """Each file's blob, stored where it is new; a file whose times have not changed is not read again."""
        began = time.time_ns()
        ids: dict[Path_, str] = {}
        new: dict[Path_, os.stat_result] = {}
        for path, found in files.items():
            known = self._known.get(path)
            if known is not None and known[0] == _times(found):
                ids[path] = known[1]
            else:
                new[path] = found
        self._refuse_too_much(new)
        ids |= self._stored(new)
        settled = (path for path, found in new.items() if max(found.st_mtime_ns, found.st_ctime_ns) < began - _RACY_NS)
        self._known |= {path: (_times(new[path]), ids[path]) for path in settled}
        return ids

    def _refuse_too_much(self, new: dict[Path_, os.stat_result]) -> None:
        tracked = set(self.git("ls-files", "-z", "--cached").split(b"\0"))
        sizes = sorted(((found.st_size, path) for path, found in new.items() if path not in tracked), reverse=True)
        if sum(size for size, _ in sizes) > NEW_BYTES:
            largest = ", ".join(show(os.fsdecode(path)) for _, path in sizes[:3])
            raise self.git.failed(
                f"more than {NEW_BYTES // 2**30} GiB in files that git does not know, the largest {largest}",
                fix="put what need not be kept into .gitignore",
            )

    def _stored(self, files: dict[Path_, os.stat_result]) -> dict[Path_, str]:
        with tempfile.TemporaryDirectory(prefix="stratum-") as folder:
            sources = [
                self._source(path, found, os.fsencode(folder), n) for n, (path, found) in enumerate(files.items())
            ]
            asked = b"".join(source + b"\n" for source in sources)
            ids = self.git("hash-object", "-w", "--no-filters", "--stdin-paths", input=asked).decode().split()
        return dict(zip(files, ids, strict=True))

    def _source(self, path: Path_, found: os.stat_result, folder: bytes, number: int) -> bytes:
        """A file with the blob's bytes, by a name that fits on a line."""
        real = os.path.join(self.top, path)
        copied = os.path.join(folder, b"%d" % number)
        if stat.S_ISLNK(found.st_mode):
            with open(copied, "wb") as file:
                file.write(os.readlink(real))
            return copied
        if b"\n" in real or b"\r" in real:
            shutil.copyfile(real, copied)
            return copied
        return real


def _mode(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "120000"
    return "100755" if found.st_mode & stat.S_IXUSR else "100644"


def _times(found: os.stat_result) -> _Times:
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode


def _is_own(path: Path_) -> bool:
    return OWN in path.split(b"/")


def _entries(listing: bytes) -> Iterator[tuple[Path_, Entry]]:
    for line in listing.split(b"\0"):
        if line:
            told, _, path = line.partition(b"\t")
            mode, _, id = told.decode().split()
            yield path, Entry(mode=mode, id=id)
