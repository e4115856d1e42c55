"""`Git`: git's plumbing in one repository, with nothing of the user's set-up that could run programs or change bytes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Final, Self

from stratum.contracts.errors import WorkspaceError

_CONFIG: Final = (
    "core.hooksPath=/dev/null",  # update-ref has a hook, too
    "core.fsmonitor=false",
    "core.logAllRefUpdates=false",
    "core.quotePath=false",
    "core.splitIndex=false",
    # What is on this disk already may be named in any way that this disk allows.
    "core.protectNTFS=false",
    "core.protectHFS=false",
)
_KEPT: Final = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_IDENTITY: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Stratum"), ("EMAIL", "stratum@localhost"))
}


class Git:
    """Blocking; to be called in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A GIT_DIR or GIT_INDEX_FILE of whoever called us, a hook say, is about another repository.
        self._env = {n: v for n, v in os.environ.items() if not n.startswith("GIT_") or n in _KEPT}
        self._env |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", **_IDENTITY}

    def __call__(
        self, *arguments: str | bytes, input: bytes = b"", env: Mapping[str, str] | None = None, no: int = 0
    ) -> bytes:
        """What git writes; `no` is the exit status by which it says that there is nothing.

        Raises:
            WorkspaceError: git is not there, or failed; with its own words.
        """
        try:
            done = subprocess.run(
                self._argv(arguments),
                cwd=self.folder,
                env={**self._env, **(env or {})},
                input=input,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise self.failed(f"git cannot be run: {error.strerror}", fix="install git 2.30 or newer") from error
        if done.returncode not in (0, no):
            said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ").removeprefix("error: ")
            raise self.failed(f"git {_text(arguments[0])}: {said or f'exit status {done.returncode}'}")
        return done.stdout

    def open(self, *arguments: str | bytes) -> subprocess.Popen[bytes]:
        """A git to talk with over its standard input and output."""
        return subprocess.Popen(
            self._argv(arguments),
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def failed(self, problem: str, *, fix: str = "put the repository in order, then go on") -> WorkspaceError:
        return WorkspaceError(path=str(self.folder), problem=problem, fix=fix)

    def _argv(self, arguments: Iterable[str | bytes]) -> list[str | bytes]:
        return ["git", *(word for option in _CONFIG for word in ("-c", option)), *arguments]


class Blobs:
    """Contents by id, from one `git cat-file --batch`."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process = git.open("cat-file", "--batch")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()

    def copy(self, blob: str, to: IO[bytes]) -> None:
        """Write a blob's bytes as they are stored: no filter, no line ending is applied."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{blob}\n".encode())
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if len(answer) != 3:
            raise self._git.failed(f"object {blob} is missing", fix="run git fsck")
        left = int(answer[2])
        while left:
            chunk = self._process.stdout.read(min(left, 1 << 20))
            if not chunk:
                raise self._git.failed(f"object {blob} cannot be read", fix="run git fsck")
            to.write(chunk)
            left -= len(chunk)
        self._process.stdout.read(1)


def _text(argument: str | bytes) -> str:
    return argument if isinstance(argument, str) else os.fsdecode(argument)
