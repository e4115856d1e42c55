"""`file_sources`: answers to `file_exists` and `file_contains`, about regular files inside one folder.

An agent says what to look at, so nothing outside the folder, no device and no pipe is ever opened, and no file is read
that is too large to be text. Whatever is wrong with a file is an answer, not an error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import trio

from stratum.contracts.expressions.evidence import Evidence, Source
from stratum.contracts.rendering import show

MAX_FILE_BYTES: Final = 10 * 2**20
"""Larger ones are taken not to be text that a condition is about."""


def file_sources(root: Path) -> Mapping[str, Source]:
    """Sources for expressions about the files in `root`; symbolic links count where they lead to a file inside it."""
    return {"file_exists": partial(_in_thread, _exists, root), "file_contains": partial(_in_thread, _contains, root)}


async def _in_thread(look: Callable[..., str], root: Path, path: str, *text: str) -> Evidence:
    problem = await trio.to_thread.run_sync(look, root, path, *text, abandon_on_cancel=True)
    return Evidence(holds=not problem, detail=f"{show(path)} {problem}" if problem else "")


def _exists(root: Path, path: str) -> str:
    """What is wrong with a file; empty where it is fine."""
    try:
        os.close(open_inside(root, path))
    except Unusable as unusable:
        return str(unusable)
    return ""


def _contains(root: Path, path: str, text: str) -> str:
    try:
        with os.fdopen(open_inside(root, path), "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except Unusable as unusable:
        return str(unusable)
    if len(content) > MAX_FILE_BYTES:
        return f"is larger than {MAX_FILE_BYTES // 2**20} MB"
    try:
        found = text in content.decode()
    except UnicodeDecodeError:
        return "is not text"
    return "" if found else f"does not contain {show(text)}"


class Unusable(Exception):
    """Why a file cannot be looked at."""


def open_inside(root: Path, path: str) -> int:
    """A descriptor of the regular file at `path`, below `root`.

    Raises:
        Unusable: there is none, or it leads elsewhere.
    """
    try:
        folder = root.resolve(strict=True)
        real = (folder / path).resolve(strict=True)
        if not real.is_relative_to(folder):
            raise Unusable("is outside the project")
        # Not to wait for a writer where it is a pipe; no link could have taken the file's place since.
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Unusable("does not exist") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise Unusable(f"cannot be opened: {getattr(error, 'strerror', None) or 'not a path'}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unusable("is not a regular file")
    return descriptor
