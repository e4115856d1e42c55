"""Where the page of a project is served: told by the lock of the session that serves it, which ends with its process."""

from __future__ import annotations

import re
from pathlib import Path

from stratum.actors.journal_file import sessions_folder
from stratum.actors.session_lock import session_alive

_NAME = re.compile(r"ui-(\d{1,5})")


def page_session(port: int) -> str:
    """The session that serves the page at this port of the loopback interface."""
    return f"ui-{port}"


def page_address(journal: Path, *, run: str = "") -> str | None:
    """The page of a run, or of all, where one is served right now."""
    folder = sessions_folder(journal)
    for lock in sorted(folder.glob("ui-*.lock")):
        named = _NAME.fullmatch(lock.stem)
        if named is not None and session_alive(folder, lock.stem):
            return f"http://127.0.0.1:{named[1]}/" + (f"runs/{run}" if run else "")
    return None


def page_of(journal: Path | None, *, run: str = "") -> str:
    """The same in a sentence: its address, or how there would be one."""
    return (None if journal is None else page_address(journal, run=run)) or "the page of `stratum ui`"
