"""`read_own_file`: a file of the user's own folder, believed only where nobody else can have written it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from stratum.engine.settings import SettingsError

MAX_BYTES: Final = 2**16


def read_own_file(file: Path) -> bytes:
    """What it says. Its folder has to be `distrusted` first.

    Raises:
        FileNotFoundError: there is none.
        SettingsError: it is a link or no file at all, others may write to it, it is too long, or it cannot be read.
    """
    try:
        if (reason := distrusted(file)) is not None:
            raise reason
        # Without waiting: a pipe of that name would keep us for ever.
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as kept:
            found = os.fstat(kept.fileno())
            # Looked at again: between the two it may have become another.
            if not stat.S_ISREG(found.st_mode) or others_write(found):
                raise SettingsError(file=str(file), problem="it is no file of yours", fix="remove it")
            said = kept.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsError(file=str(file), problem=f"it cannot be read: {error.strerror}", fix="correct it") from error
    if len(said) > MAX_BYTES:
        raise SettingsError(file=str(file), problem=f"it is longer than {MAX_BYTES:,} bytes", fix="shorten it")
    return said


def distrusted(path: Path) -> SettingsError | None:
    """Why nothing in a file, or a folder, is believed.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return SettingsError(file=str(path), problem="it is a link", fix="remove it")
    if others_write(found):
        mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
        return SettingsError(
            file=str(path), problem="others may write to it", fix=f"see what is in it, then `chmod {mode}` it"
        )
    return None


def others_write(found: os.stat_result) -> bool:
    """Somebody besides the user may."""
    return found.st_uid != os.getuid() or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
