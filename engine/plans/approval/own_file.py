"""`read_own_file`: a file of the user's own folder, believed only where nobody else can have written it."""

from __future__ import annotations

import errno
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
        # Without waiting: a pipe of that name would keep us for ever.
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(opened)
            if (reason := _distrusted(file, found)) is not None:
                raise reason
            if not stat.S_ISREG(found.st_mode):
                raise SettingsError(file=str(file), problem="it is no file of yours", fix="remove it")
            said = os.read(opened, MAX_BYTES + 1)
        finally:
            os.close(opened)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link(file) from error
        raise SettingsError(file=str(file), problem=f"it cannot be read: {error.strerror}", fix="correct it") from error
    if len(said) > MAX_BYTES:
        raise SettingsError(file=str(file), problem=f"it is longer than {MAX_BYTES:,} bytes", fix="shorten it")
    return said


def distrusted(path: Path, *, follow_links: bool = False) -> SettingsError | None:
    """Why nothing in a file, or a folder, is believed.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    return _distrusted(path, os.stat(path, follow_symlinks=follow_links))


def _distrusted(path: Path, found: os.stat_result) -> SettingsError | None:
    if stat.S_ISLNK(found.st_mode):
        return _link(path)
    if others_write(found):
        mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
        return SettingsError(
            file=str(path), problem="others may write to it", fix=f"see what is in it, then `chmod {mode}` it"
        )
    return None


def _link(path: Path) -> SettingsError:
    return SettingsError(file=str(path), problem="it is a link", fix="remove it")


def others_write(found: os.stat_result) -> bool:
    """Somebody besides the user may."""
    return found.st_uid != os.getuid() or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
