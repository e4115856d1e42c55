"""`Hold`: nothing of a project starts until it is lifted. A file beside the journal, for which every process looks.

A file and no table: a person who has nothing else can remove it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from stratum.actors.journal_file import FOLDER_MODE
from stratum.actors.whole_file import write_whole
from stratum.contracts.errors import OnHold


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants everything to stand still, since when, and why."""

    by: str
    since: str
    """ISO 8601, UTC."""
    reason: str

    @classmethod
    def now(cls, *, by: str, reason: str) -> Hold:
        return cls(by=by, since=datetime.now(UTC).isoformat(timespec="seconds"), reason=reason)


class HoldFile:
    """Of one journal; of one in memory there is none."""

    def __init__(self, journal: Path | None) -> None:
        self.path = None if journal is None else str(hold_path(journal))

    def refuse(self, what: str) -> None:
        """Before something starts, or is sent. Costs 2 us.

        Raises:
            OnHold: it must not.
        """
        if self.path is None or not os.path.lexists(self.path):
            return
        hold = read_hold(Path(self.path))
        if hold is not None:
            raise OnHold(what=what, by=hold.by, since=hold.since, reason=hold.reason)


def hold_path(journal: Path) -> Path:
    return journal.with_name(journal.name + ".hold")


def read_hold(file: Path) -> Hold | None:
    """What the file says. One that cannot be read holds all the same: whoever wrote it wanted that."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Hold)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Hold(by="somebody", since="a time that is not known", reason=f"{file} cannot be read: {error}")


def place_hold(journal: Path, hold: Hold) -> None:
    """From now on; one that is there is replaced."""
    file = hold_path(journal)
    file.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    write_whole(file, msgspec.json.encode(hold))


def lift_hold(journal: Path) -> Hold | None:
    """Let things start again; what the hold was, `None` where there was none."""
    file = hold_path(journal)
    hold = read_hold(file)
    file.unlink(missing_ok=True)
    return hold
