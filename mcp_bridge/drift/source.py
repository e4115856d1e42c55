"""Python files: which ones there are, and their trees; hostile ones become notes."""

from __future__ import annotations

import ast
import io
import os
import re
import stat
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from stratum.mcp_bridge.drift.finding import Note

MAX_BYTES: Final = 2_000_000
"""Longer files are tables or generated; they would take a minute each."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SKIPPED: Final = {"__pycache__", "node_modules", "site-packages", "venv", "build", "dist"}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file, read and parsed."""

    path: str
    """As it is shown."""
    text: str
    tree: ast.Module
    encoding: str
    lines: list[str]
    """As the parser counts them: form feeds and the like end none."""


def python_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files named, and those below the folders named; each once. Links to folders are not followed."""
    seen: set[str] = set()
    for path in paths:
        for file in _below(path) if path.is_dir() else (path,):
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file


def read_source(path: Path, *, shown: str) -> Source | Note:
    """The parsed file, named `shown`, or why it cannot be checked."""
    try:
        with _open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return Note(path=shown, message=f"not checked: {error.strerror or error}")
    if len(content) > MAX_BYTES:
        return Note(path=shown, message=f"not checked: longer than {MAX_BYTES:,} bytes")
    return parse_source(content, shown)


def parse_source(content: bytes, shown: str) -> Source | Note:
    """`content` as a file of that name."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, LookupError, UnicodeDecodeError):
        return Note(path=shown, message="not checked: not text in the encoding it declares (UTF-8 unless it says so)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the checked code's own: invalid escapes, `is` with a literal
            tree = ast.parse(text)
    except SyntaxError as error:
        return Note(path=shown, message=f"not checked: not Python: {error.msg}", line=error.lineno or 0)
    except (ValueError, RecursionError, MemoryError):
        return Note(path=shown, message="not checked: nested too deeply, or holding null bytes")
    return Source(path=shown, text=text, tree=tree, encoding=encoding, lines=_LINE_END.split(text))


def _open_regular(path: Path) -> io.BufferedReader:
    """Open without waiting: a pipe in a work tree must not hang the check."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return os.fdopen(descriptor, "rb")


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        yield from (Path(root, name) for name in sorted(files) if name.endswith((".py", ".pyw")))
