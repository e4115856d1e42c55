"""`Approvals`: who approved which plans of a project. Kept in the user's own folder, where no plan's work tree reaches.

One file an approval, named by the digest that was approved. What another program of the same user could do is no concern
here: it could as well press the keys. What another user wrote, or a link out of the folder leads to, is not believed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from stratum.actors.locations import STATE_MODE, state_home
from stratum.actors.whole_file import write_whole
from stratum.engine.plans.approval.own_file import distrusted, read_own_file
from stratum.engine.settings import SettingsError

How = Literal["terminal", "elicitation", "page", "policy", "python"]
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One plan of one project that was approved: by whom, how and when."""

    digest: str
    project: str
    """The absolute path of its folder."""
    by: str
    how: How
    at: str
    """UTC, ISO 8601."""


class Approvals:
    """The plans of the project in one folder that were approved: found, added and taken back."""

    def __init__(self, project: Path, *, folder: Path | None = None) -> None:
        self.project = str(project.resolve())
        mine = sha256(self.project.encode(errors="surrogateescape")).hexdigest()[:16]
        self.home = folder or state_home()
        """The user's own folder; their policy is there too."""
        self.folder = self.home / "approvals" / mine

    def find(self, digest: str) -> Approval | None:
        """The approval of exactly this plan, if there is one."""
        try:
            approval = msgspec.json.decode(self._read(digest), type=Approval)
        except (OSError, SettingsError, msgspec.MsgspecError, RecursionError):
            return None
        return approval if (approval.digest, approval.project) == (digest, self.project) else None

    def approve(self, digest: str, *, by: str, how: How) -> Approval:
        """Record that `by` approved it; the same again changes nothing.

        Raises:
            SettingsError: the folder is a link, or others may write to it; nothing in it would be believed.
        """
        if (known := self.find(digest)) is not None:
            return known
        at = datetime.now(UTC).isoformat(timespec="seconds")
        approval = Approval(digest=digest, project=self.project, by=by, how=how, at=at)
        file = self._file(digest)
        # Each by itself: of parents that it makes, `Path.mkdir` leaves the mode to the umask.
        for folder in (self.folder.parent.parent, self.folder.parent, self.folder):
            folder.mkdir(parents=True, exist_ok=True, mode=STATE_MODE)
        if (reason := self._distrusted()) is not None:
            raise reason
        write_whole(file, msgspec.json.encode(approval))
        return approval

    def revoke(self, digest: str) -> bool:
        """Forget it; False if there was none. What runs already goes on."""
        try:
            self._file(digest).unlink()
        except FileNotFoundError:
            return False
        return True

    def _read(self, digest: str) -> bytes:
        file = self._file(digest)
        if (reason := self._distrusted()) is not None:
            raise reason
        return read_own_file(file)

    def _distrusted(self) -> SettingsError | None:
        """Why nothing in the folder is believed. Above it, links are the user's own business."""
        return distrusted(self.folder.parent) or distrusted(self.folder)

    def _file(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest[:80]!r} is not a plan's digest; it has 64 hex characters")
        return self.folder / f"{digest}.json"
