"""`Approvals`: who approved which plans of a project. Kept in the user's own folder, where no plan's work tree reaches.

One file an approval, named by the digest that was approved. What another program of the same user could do is no concern
here: it could as well press the keys.
"""

from __future__ import annotations

import os
import re
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from stratum.actors.locations import STATE_MODE, state_home

How = Literal["terminal", "elicitation", "page", "policy", "python"]
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One approved plan of one project."""

    digest: str
    project: str
    """The absolute path of its folder."""
    by: str
    how: How
    at: str
    """UTC, ISO 8601."""


class Approvals:
    """Those of the project in one folder."""

    def __init__(self, project: Path, *, folder: Path | None = None) -> None:
        self.project = str(project.resolve())
        mine = sha256(self.project.encode(errors="surrogateescape")).hexdigest()[:16]
        self.folder = (folder or state_home()) / "approvals" / mine

    def find(self, digest: str) -> Approval | None:
        """The approval of exactly this plan, if there is one."""
        try:
            approval = msgspec.json.decode(self._file(digest).read_bytes(), type=Approval)
        except (OSError, msgspec.MsgspecError):
            return None
        return approval if (approval.digest, approval.project) == (digest, self.project) else None

    def approve(self, digest: str, *, by: str, how: How) -> Approval:
        """Record that `by` approved it; the same again changes nothing."""
        if (known := self.find(digest)) is not None:
            return known
        at = datetime.now(UTC).isoformat(timespec="seconds")
        approval = Approval(digest=digest, project=self.project, by=by, how=how, at=at)
        file = self._file(digest)
        self.folder.mkdir(parents=True, exist_ok=True, mode=STATE_MODE)
        # Whole or not at all, also for who reads it at this moment; made with mode 0600.
        descriptor, written = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".new")
        with os.fdopen(descriptor, "wb") as out:
            out.write(msgspec.json.encode(approval))
        os.replace(written, file)
        return approval

    def revoke(self, digest: str) -> bool:
        """Forget it; False if there was none. What runs already goes on."""
        try:
            self._file(digest).unlink()
        except FileNotFoundError:
            return False
        return True

    def _file(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest[:80]!r} is not a plan's digest; it has 64 hex characters")
        return self.folder / f"{digest}.json"
