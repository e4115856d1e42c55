"""`write_whole`: a file that is there as a whole or not at all, also for whoever reads it at this moment."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, content: bytes) -> None:
    """Write `file`, or replace the one that is there; made with mode 0600. Its folder has to be there."""
    descriptor, written = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".new")
    try:
        with open(descriptor, "wb") as new:
            new.write(content)
        os.replace(written, file)
    except BaseException:
        os.unlink(written)
        raise
