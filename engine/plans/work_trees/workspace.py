"""`Workspace`: the folder that a plan's steps work in: what runs there, what it looked like, what it looks like now."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import Literal

import trio

from stratum.contracts.plans.plan import Command
from stratum.engine.plans.doers.command import CommandRun, run_command
from stratum.engine.plans.doers.sandbox import find_sandbox
from stratum.engine.plans.work_trees.snapshots import Snapshots


class Workspace:
    """Of one project. Nothing is started or opened before a step needs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._marks = [os.fspath(each / ".git") for each in (folder, *folder.parents)]
        self._snapshots: Snapshots | None = None
        self._opening = trio.Lock()

    async def run(self, command: Command, *, key: str) -> CommandRun:
        """Run a program, in the sandbox that this machine has. Raises as `run_command`."""
        return await run_command(command, workspace=self.folder, key=key, sandbox=await find_sandbox())

    @property
    def kept(self) -> bool:
        """Whether what is in it can be kept and restored: it is in a git repository."""
        # An empty folder of that name is what a sandbox of Codex leaves behind, in /tmp for one.
        return any(os.path.isfile(mark) or os.path.exists(f"{mark}/HEAD") for mark in self._marks)

    async def snapshots(self) -> Snapshots:
        """Its snapshots.

        Raises:
            WorkspaceError: it is not in a work tree of git.
        """
        async with self._opening:
            if self._snapshots is None:
                self._snapshots = await Snapshots.open(self.folder)
            return self._snapshots

    async def within(self) -> Path:
        """Where it lies in its work tree. Raises as `snapshots`."""
        top = await (await self.snapshots()).in_thread(lambda files: Path(os.fsdecode(files.top)))
        return self.folder.resolve().relative_to(top.resolve())

    async def keep(self, run: str, step: str, when: Literal["before", "after"]) -> str:
        """A snapshot's commit. Raises as `Snapshots.open` and `take`."""
        return await (await self.snapshots()).take(run, step, when)

    async def files_changed_since(self, commit: str) -> list[str]:
        """From this folder, those that are not what they were in a snapshot. Raises as `Snapshots`."""
        here = await self.within()
        return [seen_from(here, name) for name in await (await self.snapshots()).changed_since(commit)]

    async def changed_since(self, commit: str) -> str:
        """The diff from a snapshot to what is there now; empty where there is no snapshot. Raises as `Snapshots`."""
        if not commit:
            return ""
        snapshots = await self.snapshots()
        return await snapshots.diff(commit, await snapshots.now())


def seen_from(folder: Path, name: str) -> str:
    """A file's path from a folder; both are given from the top of the work tree."""
    return posixpath.relpath(name, folder.as_posix())
