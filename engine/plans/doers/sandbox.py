"""`Sandbox`: bubblewrap around a plan's commands, where it is installed and works.

Inside, the whole file system can be read and only the workspace and an empty /tmp be written; there is no network unless the
plan says so, and no process outside is seen.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import trio

_PROBE_S = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """A bubblewrap that was seen to work here."""

    program: str

    def around(self, argv: Sequence[str], *, workspace: Path, cwd: Path, network: bool) -> list[str]:
        """The command line that runs `argv` inside; both paths resolved."""
        return [
            self.program,
            *("--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *([] if network else ["--unshare-net"]),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),
            *("--bind", str(workspace), str(workspace), "--chdir", str(cwd), "--", *argv),
        ]


async def find_sandbox(path: str | None = None) -> Sandbox | None:
    """The sandbox of this machine, asked for once; `None`: commands run as the user's own programs do.

    `path` is searched for it instead of `PATH`.
    """
    return await trio.to_thread.run_sync(_found, path)


@cache
def _found(path: str | None) -> Sandbox | None:
    program = shutil.which("bwrap", path=path)
    if program is None:
        return None
    # Installed is not enough: containers and hardened kernels refuse it user namespaces.
    sandbox = Sandbox(program=program)
    probe = sandbox.around(["true"], workspace=Path("/tmp"), cwd=Path("/"), network=False)
    try:
        done = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return sandbox if done.returncode == 0 else None
