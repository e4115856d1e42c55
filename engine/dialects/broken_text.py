"""Answers whose text is no Unicode, read all the same: they were paid for.

A server that cuts texts by UTF-16 units, as JavaScript does, may cut an emoji into halves, and write each by itself, `"\\ud83d"`;
one that cuts bytes writes what is no UTF-8. msgspec refuses both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""One JSON escape, or the two of a pair."""


def read_broken(read: Callable[[bytes], T], text: bytes) -> T:
    """`read(text)`; where its text is broken, with U+FFFD in place of what is.

    Raises what `read` raises: the text is whole, or something else is wrong with it, too.
    """
    try:
        return read(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        mended = _ESCAPE.sub(_mended, text.decode(errors="replace").encode())
        if mended == text:
            raise
        return read(mended)


def paired(text: str) -> str:
    """`text`, put together of pieces that halves of a pair may have been in; one without its other half is U+FFFD."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _mended(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape["half"] else escape[0]
