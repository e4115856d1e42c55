"""`open_side_tree`: a work tree of its own for a step that is done beside others, and its changes merged back.

It is a linked work tree of the same repository, at the same HEAD, with the files that the workspace has at that moment, except
ignored ones. Merged is what the step changed: a file that another changed meanwhile line by line, or not at all.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from stratum.contracts.errors import WorkspaceError
from stratum.engine.plans.work_trees.git import Blobs, Git
from stratum.engine.plans.work_trees.snapshots import Snapshots
from stratum.engine.plans.work_trees.work_tree import Entry, Path_, Tree, WorkTree
from stratum.engine.plans.work_trees.work_tree_restore import changed, restore

_REGULAR = ("100644", "100755")


class SideTree:
    """Used by one step at a time."""

    def __init__(self, snapshots: Snapshots, top: Path, side: WorkTree) -> None:
        self.top = top
        self._snapshots = snapshots
        self._side = side
        self._base: Tree = {}

    async def refresh(self) -> None:
        """Make its files those that the workspace has now. Raises WorkspaceError."""
        await self._snapshots.in_thread(self._refresh)

    async def changed(self) -> list[str]:
        """Files that were changed here, from the top of the work tree. Raises WorkspaceError."""
        return await self._snapshots.in_thread(
            lambda _: [path.decode(errors="replace") for path in changed(self._base, self._side.read())]
        )

    async def merge(self) -> Sequence[str]:
        """Bring what was changed here into the workspace: the files where that conflicts; if there are any, nothing is done.

        Raises:
            WorkspaceError: a work tree cannot be read or written.
        """
        return await self._snapshots.in_thread(self._merge)

    def _refresh(self, main: WorkTree) -> None:
        self._base = main.read()
        restore(self._side, self._side.read(), self._base, main.empty_folders())

    def _merge(self, main: WorkTree) -> Sequence[str]:
        mine, now = self._side.read(), main.read()
        merged, conflicts = dict(now), list[Path_]()
        with tempfile.TemporaryDirectory(prefix="stratum-") as scratch, Blobs(main.git) as blobs:
            for path in changed(self._base, mine):
                ours, theirs = mine.get(path), now.get(path)
                if theirs == ours:
                    continue
                if theirs != self._base.get(path):
                    ours = _lines_merged(blobs, main.git, Path(scratch), self._base.get(path), ours, theirs)
                    if ours is None:
                        conflicts.append(path)
                        continue
                _set(merged, path, ours)
        if not conflicts:
            conflicts = restore(main, now, merged, main.empty_folders())
        return [path.decode(errors="replace") for path in conflicts]


@asynccontextmanager
async def open_side_tree(snapshots: Snapshots) -> AsyncGenerator[SideTree]:
    """A side tree, gone when the block is left.

    Raises:
        WorkspaceError: the repository has no commit yet, or cannot be written.
    """
    folder = Path(tempfile.mkdtemp(prefix="stratum-side-"))
    top = folder / "tree"
    try:
        yield SideTree(snapshots, top, await snapshots.in_thread(lambda main: _added(main, top)))
    finally:
        with trio.CancelScope(shield=True):
            await snapshots.in_thread(lambda main: _removed(main, top))
            await trio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))


def _added(main: WorkTree, top: Path) -> WorkTree:
    # Nothing is checked out: filters and line endings would change the files.
    main.git("worktree", "add", "--quiet", "--no-checkout", "--detach", str(top), "HEAD")
    side = Git(top)
    side("read-tree", "HEAD")
    return WorkTree(side, top)


def _removed(main: WorkTree, top: Path) -> None:
    try:
        main.git("worktree", "remove", "--force", "--force", str(top))
    except WorkspaceError:
        main.git("worktree", "prune")


def _lines_merged(
    blobs: Blobs, git: Git, scratch: Path, base: Entry | None, ours: Entry | None, theirs: Entry | None
) -> Entry | None:
    """Both changes of a file; `None` where they conflict."""
    if base is None or ours is None or theirs is None:
        return None
    if any(entry.mode not in _REGULAR for entry in (base, ours, theirs)):
        return None
    for name, entry in (("ours", ours), ("base", base), ("theirs", theirs)):
        with (scratch / name).open("wb") as file:
            blobs.copy(entry.id, file)
    try:
        merged = git("merge-file", "-p", *(str(scratch / name) for name in ("ours", "base", "theirs")))
    except WorkspaceError:
        return None  # as many conflicts as its exit status says, or no text
    id = git("hash-object", "-w", "--stdin", "--no-filters", input=merged).decode().strip()
    mode = theirs.mode if ours.mode == base.mode else ours.mode
    return Entry(mode=mode, id=id)


def _set(tree: Tree, path: Path_, entry: Entry | None) -> None:
    if entry is None:
        tree.pop(path, None)
    else:
        tree[path] = entry
