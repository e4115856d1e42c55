"""Sockets for a thousand calls at once: many systems allow a process no more than 1,024 open files unless it asks."""

from __future__ import annotations

import sys


def allow_open_files(count: int) -> None:
    """For this process and those that it starts; ends the program where the system does not let it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        sys.exit(
            f"needs {count:,} open files, and this system allows {hard:,}; ask for fewer calls at once, or see `ulimit -Hn`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
