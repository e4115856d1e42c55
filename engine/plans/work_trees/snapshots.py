"""`Snapshots`: the work tree before and after the steps of a plan, as commits under `refs/stratum/RUN/`.

The user's index, branches, stash, hooks, reflogs and ignored files are never touched. Above: `PlanRun`, which brackets steps that
change files; rollback; the judge, which wants to see what a step changed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
import trio

from stratum.contracts.errors import RestoreRefused, WorkspaceError
from stratum.engine.plans.work_trees.work_tree import Path_, Tree, WorkTree
from stratum.engine.plans.work_trees.work_tree_restore import changed, restore

T = TypeVar("T")

REFS: Final = "refs/stratum"
DIFF_BYTES: Final = 20_000
"""Of a diff as evidence: some 5,000 tokens."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did."""

    overwritten: str
    """The commit that has the work tree as it was before."""
    files: tuple[str, ...]
    """That were written or removed."""
    left_alone: tuple[str, ...]
    """That are not as they were then: repositories within, which are yours to check out, and what is ignored."""


@dataclass(kw_only=True, eq=False, slots=True)
class _Asked:
    """A snapshot that somebody waits for."""

    run: str
    step: str
    when: Literal["before", "after"]
    commit: str = ""
    """Empty until it is taken."""


class Snapshots:
    """Of one work tree; a caller at a time."""

    def __init__(self, files: WorkTree) -> None:
        self._files = files
        self._lock = trio.Lock()
        self._asked: list[_Asked] = []

    @classmethod
    async def open(cls, workspace: Path) -> Snapshots:
        """Of the work tree that `workspace` is in.

        Raises:
            WorkspaceError: there is none.
        """
        return cls(await trio.to_thread.run_sync(WorkTree.at, workspace))

    async def take(self, run: str, step: str, when: Literal["before", "after"] = "after") -> str:
        """Keep the work tree as it is: the commit, which `refs/stratum/RUN/STEP` names from then on.

        What a run asks for while another snapshot is taken is one commit: steps that begin together wait once, not in a row.

        Raises:
            WorkspaceError: it cannot be read, or the repository not be written.
        """
        asked = _Asked(run=run, step=step, when=when)
        self._asked.append(asked)
        try:
            async with self._lock:
                if not asked.commit:
                    together = [each for each in self._asked if each.run == run]
                    commit = await trio.to_thread.run_sync(self._take_together, together)
                    for each in together:
                        each.commit = commit
        finally:
            self._asked.remove(asked)
        return asked.commit

    async def now(self) -> str:
        """The work tree as it is, as a tree to compare with; no ref names it, so git will drop it some day."""
        return await self._in_thread(lambda: self._files.write(self._files.read()))

    async def find(self, run: str, step: str, when: Literal["before", "after"] = "after") -> str | None:
        """The commit that `take` made; `None` if it did not."""
        named = reference(run, step, when)
        found = await self._in_thread(lambda: self._git("for-each-ref", "--format=%(objectname)", named))
        return found.decode().strip() or None

    async def restore(self, run: str, commit: str, *, force: bool = False) -> Restored:
        """Make the work tree what it was in `commit`. What it was until now is kept as a snapshot of its own.

        Raises:
            RestoreRefused: files were changed since the last snapshot, and `force` is not given.
            WorkspaceError: the work tree cannot be read or written.
        """
        return await self._in_thread(lambda: self._restore(run, commit, force=force))

    async def diff(self, a: str, b: str, limit_bytes: int = DIFF_BYTES) -> str:
        """What changed from one commit to the other: every file in a line, then patches, cut where they are too long."""
        return await self._in_thread(lambda: self._diff(a, b, limit_bytes))

    async def changed_since(self, commit: str) -> list[str]:
        """Files that are not what they were in a commit, from the top of the work tree."""
        return await self._in_thread(lambda: list(_names(changed(self._files.read(), self._files.of(commit)))))

    async def in_thread(self, do: Callable[[WorkTree], T]) -> T:
        """Do something with the work tree, with nobody else at it."""
        return await self._in_thread(lambda: do(self._files))

    async def _in_thread(self, do: Callable[[], T]) -> T:
        # Not abandoned when cancelled: half a restore is nothing to leave behind.
        async with self._lock:
            return await trio.to_thread.run_sync(do)

    def _git(self, *arguments: str, input: bytes = b"") -> bytes:
        return self._files.git(*arguments, input=input)

    def _take_together(self, asked: Sequence[_Asked]) -> str:
        first = asked[0]
        more = f" and {len(asked) - 1} more" if len(asked) > 1 else ""
        names = [reference(each.run, each.step, each.when) for each in asked]
        return self._take(first.run, names, f"{first.when} step {first.step}{more}")[0]

    def _take(self, run: str, names: Iterable[str], what: str) -> tuple[str, Tree]:
        tree = self._files.read()
        told = {"at": time.time_ns(), "empty": [os.fsdecode(path) for path in self._files.empty_folders()]}
        message = f"stratum: {what} of run {run}\n\n{json.dumps(told)}\n"
        commit = self._git("commit-tree", self._files.write(tree), input=message.encode()).decode().strip()
        self._git("update-ref", "--stdin", input="".join(f"update {named} {commit}\n" for named in names).encode())
        return commit, tree

    def _restore(self, run: str, commit: str, *, force: bool) -> Restored:
        wanted = self._files.of(commit)
        kept, now = self._take(run, [self._unused(run)], "before a rollback")
        if not force and (lost := self._unkept(run, now, but=kept)):
            names = sorted(path for path in lost if now.get(path) != wanted.get(path))
            if names:
                raise RestoreRefused(path=str(self._files.git.folder), files=[os.fsdecode(name) for name in names])
        left = restore(self._files, now, wanted, self._empty_folders(commit))
        again = self._files.read()
        wrong = [path for path in changed(again, wanted) if path not in left]
        if wrong:
            raise self._files.git.failed(
                f"{len(wrong)} files are not what they were, {os.fsdecode(wrong[0])!r} among them",
                fix=f"stop what changes them; what they were before is in commit {kept}",
            )
        return Restored(
            overwritten=kept,
            files=_names(path for path in changed(now, wanted) if path not in left),
            left_alone=_names(left),
        )

    def _unkept(self, run: str, now: Tree, *, but: str) -> list[Path_]:
        """Files that are in no snapshot as they are now: what has changed since the last one of the run."""
        told = self._git("for-each-ref", "--format=%(objectname)%00%(tree)%00%(contents:body)%01", f"{REFS}/{run}")
        tree = self._git("rev-parse", f"{but}^{{tree}}").decode().strip()
        last, last_at = "", -1
        for line in told.decode(errors="replace").split("\x01"):
            commit, _, rest = line.strip().partition("\0")
            if not commit or commit == but:
                continue
            its_tree, _, body = rest.partition("\0")
            if its_tree == tree:
                return []
            at = json.loads(body)["at"]
            if at > last_at:
                last, last_at = commit, at
        return changed(now, self._files.of(last) if last else {})

    def _unused(self, run: str) -> str:
        taken = self._git("for-each-ref", "--format=%(refname)", f"{REFS}/{run}").decode().split()
        number = 1
        while (named := f"{REFS}/{run}/rollback.{number}") in taken:
            number += 1
        return named

    def _empty_folders(self, commit: str) -> list[Path_]:
        stored = self._git("cat-file", "commit", commit)
        try:
            return [os.fsencode(path) for path in json.loads(stored.split(b"\n\n", 2)[2])["empty"]]
        except (ValueError, LookupError) as error:
            raise WorkspaceError(
                path=str(self._files.git.folder), problem=f"{commit} is no snapshot", fix="name one that was taken"
            ) from error

    def _diff(self, a: str, b: str, limit_bytes: int) -> str:
        plain = ("--no-ext-diff", "--no-textconv", "--no-color", "-M", "-r")
        listed = self._git("diff-tree", *plain, "--numstat", a, b).decode(errors="replace")
        patches = self._git("diff-tree", *plain, "-p", a, b)
        return _cut(listed, limit_bytes // 2) + "\n" + _shared_out(patches, limit_bytes) if listed else ""


def reference(run: str, step: str, when: Literal["before", "after"] = "after") -> str:
    """The name of a snapshot. Ids have no `+` and no `.`; a step of a sub-plan may not lie in a folder of its parent's name."""
    return f"{REFS}/{run}/{step.replace('/', '+')}{'' if when == 'after' else '.before'}"


def _names(paths: Iterable[Path_]) -> tuple[str, ...]:
    return tuple(map(os.fsdecode, paths))


def _shared_out(patches: bytes, limit_bytes: int) -> str:
    """Every file's patch, each cut to a fair share where all of them are too long."""
    files = [b"diff --git " + part for part in patches.split(b"\ndiff --git ")] if patches else []
    if files:
        files[0] = files[0].removeprefix(b"diff --git ")
    if len(patches) <= limit_bytes:
        return patches.decode(errors="replace")
    share = max(limit_bytes // len(files), 400)
    shown = files[: max(1, limit_bytes // share)]
    text = "\n".join(_cut(part.decode(errors="replace"), share) for part in shown)
    more = len(files) - len(shown)
    return text + (f"\n… and the patches of {more:,} more files" if more else "")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}\n… {len(text) - limit:,} characters left out …"
