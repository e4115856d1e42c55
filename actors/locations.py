"""Where things are kept: a project's journal in its folder; in the user's own one what no work tree may hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PROJECT_JOURNAL: Final = Path(".stratum/stratum.db")
"""Where the journal is unless `STRATUM_JOURNAL` or an argument says otherwise; relative to the working directory."""
STATE_MODE: Final = 0o700


def state_home(environ: Mapping[str, str] = os.environ) -> Path:
    """For tokens, approvals and policy: `$STRATUM_STATE_HOME`, else `stratum` below `$XDG_STATE_HOME` or `~/.local/state`.

    Whoever writes there makes it, with `STATE_MODE`.
    """
    if own := environ.get("STRATUM_STATE_HOME"):
        return Path(own).expanduser().absolute()
    # The XDG specification: a path that is not absolute is to be ignored.
    shared = Path(environ.get("XDG_STATE_HOME") or "")
    return (shared if shared.is_absolute() else Path.home() / ".local" / "state") / "stratum"
